"""Every shipped spec, proven; and what it claims to be published, compared with a table copied by hand."""

from __future__ import annotations

import inspect
import re
import statistics
from functools import cache
from pathlib import Path

import pytest
import torch
import yaml

from teaspec.compiler import compile_spec, load_spec
from teaspec.compiler.forms.spec import BASE, IDENTITY, CheckpointFacts, Spec
from teaspec.compiler.forms.values import Concat, Tensor
from teaspec.compiler.passes.import_model import import_model
from teaspec.proof.compare import named_tensors, same_value
from teaspec.proof.determinism import FreshInterpreter, prove_deterministic, sources
from teaspec.proof.inputs import Arguments, Example
from teaspec.proof.properties import PROPERTIES
from teaspec.proof.run import prove, surroundings
from teaspec.proof.subject import Subject

SPECS = {path.stem: path for path in sorted(Path(__file__).parents[1].glob("specs/*.yaml"))}
EXAMPLES, MANY_EXAMPLES = 4, 20
"""`make check` draws fifty."""


@cache
def subject_of(name: str, variant: str | None = None) -> Subject:
    spec = load_spec(SPECS[name])
    return Subject(spec if variant is None else spec.for_variant(variant), import_model(spec), compile_spec)


def lines_above_probe(path: Path) -> int:
    """Counts the lines above `probe:` without those of `variants`, which are as many as there are checkpoints."""
    count, is_variant = 0, False
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("probe:"):
            return count
        is_variant = line.startswith("  variants:") or (is_variant and line.startswith("    "))
        count += not (is_variant or line.startswith("# yaml-language-server:"))
    raise ValueError(f"{path.name} has no probe")


@pytest.fixture(scope="module")
def interpreter():
    with FreshInterpreter() as other:
        yield other


@pytest.mark.parametrize("item", PROPERTIES, ids=lambda item: item.name)
@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("examples", [EXAMPLES, pytest.param(MANY_EXAMPLES, marks=pytest.mark.thorough)])
def test_property(name, item, examples):
    with surroundings():
        result = prove(subject_of(name), item, examples=examples, seed=0)
    assert result.passed, f"{item.claim}\n{result.message}\n{result.minimal_example}"
    assert result.examples == examples
    assert subject_of(name).unjudged == {}


@pytest.mark.thorough  # a second compilation of everything; `make check` makes it, too
@pytest.mark.parametrize("name", SPECS)
def test_deterministic(name, interpreter):
    subject = subject_of(name)
    result = prove_deterministic(sources(subject), interpreter, interpreter.request(subject.spec))
    assert result.passed, result.message


# Nothing scales LoRA weights without peft, and without them the scale changes nothing.
WITHOUT_EFFECT = {"attention_kwargs", "joint_attention_kwargs"}


def is_constant(value):
    if isinstance(value, Concat):
        return all(map(is_constant, value.parts))
    return isinstance(value, Tensor) and value.range is not None and value.range[0] == value.range[1]


def backwards(value):
    return value.flip(-1) if isinstance(value, torch.Tensor) else type(value)(backwards(item) for item in value)


@pytest.mark.parametrize("name", SPECS)
def test_every_input_of_the_probe_changes_the_output(name):
    """An input without effect would be equal with and without an extractor that loses it."""
    subject = subject_of(name)
    as_tuple = False if "return_dict" in subject.parameters else None
    with surroundings():
        for case, probe in enumerate(subject.alternatives):
            dims = {dim: high for dim, (_, high) in probe.dims.items()}
            optional = frozenset(key for key, given in probe.inputs.items() if given.optional)
            given = [
                subject.arguments(Example(case, torch.float32, dims, optional, as_tuple, 0, seed)) for seed in (0, 1)
            ]
            example = Example(case, torch.float32, dims, optional, as_tuple, 0, 0)
            expected = subject.call(example, subject.arguments(example))
            for key in sorted(set(given[0].kwargs) - WITHOUT_EFFECT - {"return_dict"}):
                if not list(named_tensors(given[0].kwargs[key])) or is_constant(probe.inputs[key].value):
                    continue
                other = given[1].kwargs[key]
                if same_value(given[0].kwargs[key], other):
                    other = backwards(other)  # indexes are the same in every draw
                assert not same_value(given[0].kwargs[key], other), key
                changed = {**subject.arguments(example).kwargs, key: other}
                output = subject.call(example, Arguments((), changed))
                assert not same_value(output, expected), f"case {case}: `{key}` changes nothing"


@pytest.mark.parametrize("name", SPECS)
def test_every_argument_is_tried_or_there_is_a_reason(name):
    subject = subject_of(name)
    tried = {key for probe in subject.alternatives for key in probe.inputs}
    untried = set(subject.spec.probe.untried)
    assert set(subject.parameters) - {"return_dict"} <= tried | untried
    assert untried <= set(subject.parameters)


def test_specs_are_short():
    lengths = {name: lines_above_probe(path) for name, path in SPECS.items()}
    assert statistics.median(lengths.values()) <= 15
    assert {name: length for name, length in lengths.items() if length > 35} == {}


ORDER = (
    "teaspec",
    "model",
    "aliases",
    "forward",
    "embed",
    "norm",
    "blocks",
    "head",
    "streams",
    "signal",
    "timestep",
    "varying",
    "bypass",
    "teacache",
    "probe",
)


@pytest.mark.parametrize("name", SPECS)
def test_the_keys_stand_in_one_order(name):
    keys = list(load_spec(SPECS[name]).document.data)
    assert keys == [key for key in ORDER if key in keys]


PUBLISHED = yaml.safe_load((Path(__file__).parent / "published.yaml").read_text(encoding="utf-8"))


def sets_of(name: str) -> dict[str, CheckpointFacts]:
    facts = load_spec(SPECS[name]).teacache
    return {BASE: facts, **facts.variants}


def as_published(spec: Spec, one: CheckpointFacts) -> dict[str, object]:
    """A set of a spec in the words of the table."""
    found = {
        "status": one.status,
        "accumulate": one.accumulate,
        "signal": getattr(one, "signal", None) or spec.signal,
        "warmup_steps": one.warmup_steps,
        "thresholds": [[threshold.thresh, threshold.speedup] for threshold in one.thresholds],
    }
    return found if one.status == "none" else found | {"coefficients": list(one.coefficients), "source": one.source}


def test_the_table_of_what_was_published_is_about_specs():
    assert PUBLISHED.keys() <= SPECS.keys()


@pytest.mark.parametrize("name", SPECS)
def test_every_set_is_the_published_one(name):
    spec = load_spec(SPECS[name])
    found = {key: as_published(spec, one) for key, one in sets_of(name).items()}
    if BASE not in PUBLISHED.get(name, {}):
        base = found.pop(BASE)
        assert (base["status"], base["thresholds"], spec.teacache.source) == ("none", [], None)
        assert spec.teacache.coefficients == IDENTITY
    assert found == PUBLISHED.get(name, {})


@pytest.mark.parametrize("name", SPECS)
def test_a_speed_up_is_the_ratio_of_the_times_that_its_note_tells(name):
    """Mutation: one of Wan's is a digit off."""
    for one in sets_of(name).values():
        for threshold in one.thresholds:
            times = re.search(r"([\d.]+) -> ([\d.]+) (s|min)", threshold.note or "")
            assert times is None or threshold.speedup == round(float(times[1]) / float(times[2]), 1)


@pytest.mark.parametrize("name", SPECS)
def test_every_set_names_its_source_down_to_the_commit(name):
    for one in sets_of(name).values():
        if one.status == "none":
            assert (one.coefficients, one.source) == (IDENTITY, None)
            continue
        repository, path, commit = one.source.split(" ", 2)
        known = "/" in repository and path.endswith(".py")
        known &= commit == "(commit not known)" or (commit.startswith("@") and len(commit) == 9)
        assert known or one.source.endswith("(repository not known)"), one.source


@pytest.mark.parametrize("name", SPECS)
def test_what_a_match_asks_for_is_in_the_config(name):
    """A key that the config lacks never fits. diffusers adds the place that a model was loaded from."""
    known = {*inspect.signature(import_model(load_spec(SPECS[name])).__init__).parameters, "_name_or_path"}
    for key, one in sets_of(name).items():
        assert set(one.match) <= known, key


OTHER_SIGNALS = {  # of each signal one variant: the others have the same extractor
    (name, signal): key
    for name in SPECS
    for key, one in load_spec(SPECS[name]).teacache.variants.items()
    if (signal := one.signal) not in (None, load_spec(SPECS[name]).signal)
}


@pytest.mark.parametrize("item", PROPERTIES, ids=lambda item: item.name)
@pytest.mark.parametrize(("name", "signal"), OTHER_SIGNALS)
def test_property_with_the_signal_of_a_variant(name, signal, item):
    with surroundings():
        result = prove(subject_of(name, OTHER_SIGNALS[name, signal]), item, examples=5, seed=0)
    assert result.passed, f"{item.claim}\n{result.message}\n{result.minimal_example}"
