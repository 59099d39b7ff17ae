"""What is excused as another version's is really another version's, and the installed one is told rightly."""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
import re
import sys
from pathlib import Path
from typing import get_args

import diffusers
import pytest

from teaspec.compiler import load_spec
from teaspec.compiler.passes.import_model import import_model
from teaspec.proof.fitting import fit_probe
from teaspec.versions.history import FILE, History, Kind, history_of
from teaspec.versions.supported import BEFORE, SINCE
from tools.drift.history import as_text, classes_of
from tools.models.classes import transformer_classes

KNOWN = json.loads(FILE.read_text(encoding="utf-8"))
SPECS = sorted((Path(__file__).parents[2] / "specs").glob("*.yaml"))
HERE = ".".join(diffusers.__version__.split(".")[:2])
REFRESH = "write it anew: python -m tools.drift.history"

# What the pinned version lacks: an input that went, kept for the versions that need it.
WENT = {"qwen_image": ("input `txt_seq_lens` (in diffusers 0.35 to 0.38)",)}


def has(span):
    first, last = (KNOWN["versions"].index(version) for version in span.split("-"))
    return first <= KNOWN["versions"].index(HERE) <= last


def test_every_minor_version_of_the_range_is_known():
    assert KNOWN["versions"] == [f"{SINCE[0]}.{minor}" for minor in range(SINCE[1], BEFORE[1])], REFRESH


def test_the_classes_of_the_installed_version_are_those_that_it_has():
    listed = {name for name, entry in KNOWN["classes"].items() if has(entry["there"])}
    assert listed == transformer_classes(), REFRESH


@pytest.mark.parametrize("name", sorted(KNOWN["classes"]))
def test_what_moved_is_told_rightly_of_the_installed_version(name):
    """The oracle is `inspect`, the file was written from syntax trees."""
    entry = KNOWN["classes"][name]
    if not has(entry["there"]):
        pytest.skip(f"diffusers {HERE} has no {name}")
    model = next(
        vars(one)[name] for one in _modules() if getattr(vars(one).get(name), "__module__", "") == one.__name__
    )
    module = sys.modules[model.__module__]
    real = {
        "config": set(inspect.signature(model.__init__).parameters),
        "inputs": set(inspect.signature(model.forward).parameters),
        "objects": {key for key, value in vars(module).items() if isinstance(value, type)},
    }
    for kind, names in real.items():
        for one, span in entry.get(kind, {}).items():
            assert (one in names) is has(span), f"{kind} {one}: {REFRESH}"
    assert set(entry) <= {"there", *get_args(Kind)}


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_the_installed_version_lacks_nothing_of_the_shipped_probes(path):
    """A parameter that nobody knows of is no reason to leave out anything: the misspelling stays in, and fails."""
    spec = load_spec(path)
    if history_of(spec.model).is_absent_from(diffusers.__version__):
        pytest.skip(f"diffusers {diffusers.__version__} has no {spec.class_name}")
    model = import_model(spec)
    fitted = fit_probe(spec, model, inspect.signature(model.forward).parameters)
    if KNOWN["versions"][-1] == HERE:
        assert fitted.left_out == WENT.get(path.stem, ())
    for alternative in fitted.alternatives:
        assert set(alternative.config) <= set(inspect.signature(model.__init__).parameters)


def test_words():
    config = {"a": "0.38-0.42", "b": "0.36-0.37", "c": "0.40-0.40"}
    history = History("0.36-0.42", {"config": config}, KNOWN["versions"])
    assert history.find("config", "a") == "since diffusers 0.38"
    assert history.find("config", "b") == "in diffusers 0.36 to 0.37"
    assert history.find("config", "c") == "in diffusers 0.40"
    assert history.find("config", "d") is None and history.find("inputs", "a") is None
    assert history.lifetime == "since diffusers 0.36"
    assert [history.is_absent_from(version) for version in ("0.35.2", "0.36.0", "0.42.1", "0.99", None)] == [
        *(True, False, False, False, False)
    ]


def test_only_diffusers_has_a_history():
    """A class of another package may have the same name: goes red where the name alone decides."""
    assert history_of("diffusers.FluxTransformer2DModel").there == "0.35-0.42"
    assert history_of("diffusers.models:FluxTransformer2DModel").there == "0.35-0.42"
    for other in ("vllm_omni.FluxTransformer2DModel", "diffusers.Flux", "FluxTransformer2DModel"):
        assert history_of(other) == History()


def test_it_is_written_from_the_source(tmp_path):
    """Only what moved is written; what came by a base class is the class's own."""
    first = """
class Part(Module): ...
class Base(ModelMixin):
    def __init__(self, width, old=1): ...
class Model(Base):
    def forward(self, x, *, t=None):
        a, b = self.embed(t).to(x), 1
        a = self.helper(a)
    def helper(self, a): ...
"""
    second = first.replace("old=1", "new=2").replace("a, b =", "c, b =").replace("Part", "Other")
    second += "class New(ModelMixin): ..."
    seen = {}
    for version, text in (("0.1", first), ("0.2", second)):
        file = tmp_path / version / "models" / "transformers" / "one.py"
        file.parent.mkdir(parents=True)
        file.write_text(text, encoding="utf-8")
        seen[version] = classes_of(tmp_path / version)
    written = json.loads(as_text(seen))
    assert written == {
        "versions": ["0.1", "0.2"],
        "classes": {
            "Base": {
                "there": "0.1-0.2",
                "config": {"new": "0.2-0.2", "old": "0.1-0.1"},
                "objects": {"Other": "0.2-0.2", "Part": "0.1-0.1"},
            },
            "Model": {
                "there": "0.1-0.2",
                "config": {"new": "0.2-0.2", "old": "0.1-0.1"},
                "calls": {"embed -> a": "0.1-0.1", "embed -> c": "0.2-0.2"},
                "objects": {"Other": "0.2-0.2", "Part": "0.1-0.1"},
            },
            "New": {"there": "0.2-0.2"},
        },
    }


def test_what_came_again_is_not_written_wrongly():
    with pytest.raises(ValueError, match=re.escape("no single span of versions: ['0.1', '0.3']")):
        as_text({"0.1": {"A": _names()}, "0.2": {}, "0.3": {"A": _names()}})


def _names():
    return {kind: set() for kind in get_args(Kind)}


def _modules():
    package = importlib.import_module("diffusers.models.transformers")
    found = pkgutil.iter_modules(package.__path__, f"{package.__name__}.")
    return [importlib.import_module(info.name) for info in found]
