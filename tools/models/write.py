"""Writing teaspec/models/models.json and docs/models.md."""

from __future__ import annotations

import logging
import sys
import warnings
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import diffusers
import torch

from teaspec.catalog import shipped_specs
from teaspec.compiler import load_spec
from teaspec.models.facts import FILE, ModelFacts, Table, as_json, load_table
from tools.models.classes import exceptions
from tools.models.cost import measure
from tools.models.gather import gather
from tools.models.page import page

PAGE = Path(__file__).parents[2] / "docs" / "models.md"


def write(named: list[str]) -> list[str]:
    """Gathers the facts about all shipped specs and writes both files.

    Args:
        named: The specs (`flux`) to count anew, beside new ones; the others keep their costs. None at all means all.

    Returns:
        What went wrong; these specs are missing in both files.
    """
    paths = shipped_specs()
    stored = {model.spec: model for model in load_table().models} if FILE.exists() else {}
    kept = [None if not named or path.stem in named else stored.get(path.name) for path in paths]
    # what was stored stays until it is counted anew, so that a run that is cut short loses nothing
    models = {path.name: stored[path.name] for path in paths if path.name in stored}
    failures: list[str] = []
    # a process for each class that is counted: what one of them has mapped is of no use to the next
    with ProcessPoolExecutor(mp_context=get_context("spawn"), max_tasks_per_child=1) as pool:
        counted = {
            path: pool.submit(facts_of, path, None) for path, known in zip(paths, kept, strict=True) if not known
        }
        for path, known in zip(paths, kept, strict=True):
            found = facts_of(path, known) if known else counted[path].result()
            if isinstance(found, str):
                failures.append(f"{path.stem}: {found}")
                models.pop(path.name, None)
                continue
            models[path.name] = found
            table = Table(diffusers.__version__, tuple(sorted(models.values(), key=lambda model: model.name)))
            FILE.write_text(as_json(table), encoding="utf-8")
            PAGE.write_text(page(table, exceptions()), encoding="utf-8")
    return failures


def facts_of(path: Path, known: ModelFacts | None) -> ModelFacts | str:
    """The facts about one class, or why there are none. Runs in a process of its own where it counts.

    Args:
        path: Its spec.
        known: What was known about it, whose cost is taken over; None to count it.
    """
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    logging.getLogger("diffusers").setLevel(logging.ERROR)
    try:
        spec = load_spec(path)
        facts = gather(spec, path.name, known.cost if known else measure(path))
        if not known:
            sys.stderr.write(f"{path.stem}: {facts.reused_step}\n")
        return facts
    except Exception as error:
        sys.stderr.write(f"{path.stem}: failed\n")
        return f"{type(error).__name__}: {error}"
