"""How many of these models `teaspec init` drafts a spec for that passes the check untouched, from the class alone.

Their own specs are the oracle of what can be cut at all; nothing is taken from them but the name of the class.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from teaspec.compiler import SpecError, load_spec
from teaspec.draft.draft import draft_spec
from teaspec.draft.landmarks import NoLandmarksError
from teaspec.proof.run import check_spec
from tests.research.test_research import ALLOW, PASSES, SPECS, SameInterpreter

DOCS = " ".join((Path(__file__).parents[2] / "docs" / "drafting.md").read_text(encoding="utf-8").split())
MODELS = [name for name in PASSES if "--" not in name]

UNTOUCHED = (
    "autocast_loop",
    "cond_between",
    "dit",
    "dit_moe",
    "edm",
    "hunyuan_dit",
    "hunyuan_video",
    "latte",
    "lumina_next",
    "min_rf",
    "opensora_plan",
    "pixart",
    "sit_repa",
    "stable_audio",
    "stdit",
    "timm_style",
    "tread",
    "vchitect",
)


def passes_untouched(name: str) -> bool:
    """Whether the draft of a model runs and holds."""
    try:
        draft = draft_spec(load_spec(SPECS[name]).model)
    except (NoLandmarksError, SpecError):
        return False
    if draft.landmarks.error or draft.probe.error:
        return False
    try:
        with SameInterpreter() as here:
            report = check_spec(load_spec(draft.text), examples=2, interpreter=here, allow=ALLOW)
    except SpecError:
        return False
    return all(result.passed for result in report.properties)


@pytest.mark.parametrize("name", UNTOUCHED)
def test_the_draft_passes_untouched(name: str) -> None:
    """Mutations: `_looked_up` learns nothing (dit); `_norms_of` follows no method (hunyuan_dit)."""
    assert passes_untouched(name)


@pytest.mark.thorough
def test_the_others_do_not() -> None:
    """The docs tell what was measured: a model that has begun to pass belongs on the list."""
    assert [name for name in MODELS if name not in UNTOUCHED and passes_untouched(name)] == []


def test_the_docs_say_how_many() -> None:
    found = re.search(r"(\d+) of the (\d+) research models", DOCS)
    assert found is not None
    assert (int(found[1]), int(found[2])) == (len(UNTOUCHED), len(MODELS))
