"""Every shipped spec, proven; and what it claims to be published, compared with a table copied by hand."""

from __future__ import annotations

import statistics
from functools import cache
from pathlib import Path

import pytest
import torch

from teaspec.compiler import compile_spec, load_spec
from teaspec.compiler.forms.probe import Tensor
from teaspec.compiler.forms.spec import IDENTITY
from teaspec.compiler.passes.resolve import import_model
from teaspec.proof.compare import named_tensors, same_value
from teaspec.proof.determinism import FreshInterpreter, prove_deterministic, sources
from teaspec.proof.inputs import Arguments, Example
from teaspec.proof.properties import PROPERTIES
from teaspec.proof.run import prove, surroundings
from teaspec.proof.subject import Subject

SPECS = {path.stem: path for path in sorted(Path(__file__).parents[1].glob("specs/*.yaml"))}
EXAMPLES = 20


@cache
def subject_of(name: str) -> Subject:
    spec = load_spec(SPECS[name])
    return Subject(spec, import_model(spec), compile_spec)


def lines_above_probe(path: Path) -> int:
    """Counts the lines above `probe:` without those of `variants`, which are as many as there are checkpoints."""
    count, is_variant = 0, False
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("probe:"):
            return count
        is_variant = line.startswith("  variants:") or (is_variant and line.startswith("    "))
        count += not is_variant
    raise ValueError(f"{path.name} has no probe")


@pytest.fixture(scope="module")
def interpreter():
    with FreshInterpreter() as other:
        yield other


@pytest.mark.parametrize("item", PROPERTIES, ids=lambda item: item.name)
@pytest.mark.parametrize("name", SPECS)
def test_property(name, item):
    with surroundings():
        result = prove(subject_of(name), item, examples=EXAMPLES, seed=0)
    assert result.passed, f"{item.claim}\n{result.message}\n{result.minimal_example}"
    assert result.examples == EXAMPLES


@pytest.mark.parametrize("name", SPECS)
def test_deterministic(name, interpreter):
    subject = subject_of(name)
    result = prove_deterministic(sources(subject), interpreter, interpreter.request(subject.spec))
    assert result.passed, result.message


# Nothing scales LoRA weights without peft, and without them the scale changes nothing.
WITHOUT_EFFECT = {"attention_kwargs", "joint_attention_kwargs"}


def is_constant(value):
    return isinstance(value, Tensor) and value.range is not None and value.range[0] == value.range[1]


@pytest.mark.parametrize("name", SPECS)
def test_every_input_of_the_probe_changes_the_output(name):
    """An input without effect would be equal with and without an extractor that loses it."""
    subject = subject_of(name)
    with surroundings():
        for case, probe in enumerate(subject.alternatives):
            dims = {dim: high for dim, (_, high) in probe.dims.items()}
            optional = frozenset(key for key, given in probe.inputs.items() if given.optional)
            given = [subject.arguments(Example(case, torch.float32, dims, optional, False, 0, seed)) for seed in (0, 1)]
            example = Example(case, torch.float32, dims, optional, False, 0, 0)
            expected = subject.call(example, subject.arguments(example))
            for key in sorted(set(given[0].kwargs) - WITHOUT_EFFECT - {"return_dict"}):
                if not list(named_tensors(given[0].kwargs[key])) or is_constant(probe.inputs[key].value):
                    continue
                assert not same_value(given[0].kwargs[key], given[1].kwargs[key]), key
                changed = {**subject.arguments(example).kwargs, key: given[1].kwargs[key]}
                output = subject.call(example, Arguments((), changed))
                assert not same_value(output, expected), f"case {case}: `{key}` changes nothing"


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
    "bypass",
    "teacache",
    "probe",
)


@pytest.mark.parametrize("name", SPECS)
def test_the_keys_stand_in_one_order(name):
    keys = list(load_spec(SPECS[name]).document.data)
    assert keys == [key for key in ORDER if key in keys]


# Copied by hand from the sources that the specs name: status, accumulation, signal, coefficients, thresholds.
PUBLISHED = {
    "cogvideox": (
        "published",
        "signed",
        "temb",
        (-1538.80483, 843.202495, -134.363087, 7.97131516, -0.0523162339),
        (),
    ),
    "flux": (
        "published",
        "signed",
        "norm",
        (498.651651, -283.781631, 55.8554382, -3.82021401, 0.264230861),
        ((0.25, 1.5), (0.4, 1.8), (0.6, 2.0), (0.8, 2.25)),
    ),
    "hunyuan_video": (
        "published",
        "signed",
        "norm",
        (733.226126, -401.131952, 67.5869174, -3.149878, 0.0961237896),
        ((0.1, 1.6), (0.15, 2.1)),
    ),
    "ltx": (
        "published",
        "signed",
        "norm",
        (21.4700694, -12.8016453, 2.31279151, 0.792487521, 0.00969274326),
        ((0.03, 1.6), (0.05, 2.1)),
    ),
    "lumina2": (
        "borrowed",
        "signed",
        "norm",
        (393.76566581, -603.50993606, 209.10239044, -23.00726601, 0.86377344),
        ((0.2, 1.25), (0.3, 1.5625), (0.4, 2.0833), (0.5, 2.5)),
    ),
    "qwen_image": (
        "borrowed",
        "absolute",
        "norm",
        (-450.0, 280.0, -45.0, 3.2, -0.02),
        ((0.2, 1.5), (0.4, 1.8), (0.6, 2.0), (0.8, 2.25)),
    ),
    "sd3": (
        "borrowed",
        "signed",
        "norm",
        (498.651651, -283.781631, 55.8554382, -3.82021401, 0.264230861),
        ((0.6, None),),
    ),
    "wan": (
        "published",
        "signed",
        "temb",
        (2396.76752, -1311.10545, 201.331979, -8.29855975, 0.137887774),
        ((0.05, None), (0.07, None), (0.08, None), (0.08, 1.6)),
    ),
}


@pytest.mark.parametrize("name", SPECS)
def test_the_default_set_is_the_published_one(name):
    spec = load_spec(SPECS[name])
    facts = spec.teacache
    if name not in PUBLISHED:
        assert (facts.status, facts.coefficients, facts.thresholds, facts.source) == ("none", IDENTITY, (), None)
        return
    thresholds = tuple((threshold.thresh, threshold.speedup) for threshold in facts.thresholds)
    assert (facts.status, facts.accumulate, spec.signal, facts.coefficients, thresholds) == PUBLISHED[name]


@pytest.mark.parametrize("name", SPECS)
def test_every_set_names_its_source_down_to_the_commit(name):
    facts = load_spec(SPECS[name]).teacache
    for one in (facts, *facts.variants.values()):
        if one.status == "none":
            assert (one.coefficients, one.source) == (IDENTITY, None)
            continue
        assert one.source is not None
        repository, path, commit = one.source.split(" ", 2)
        known = "/" in repository and path.endswith(".py") and commit.startswith("@") and len(commit) == 9
        assert known or one.source.endswith("(repository not known)"), one.source


def test_variants_that_only_differ_in_retention_compute_their_first_five_steps():
    variants = load_spec(SPECS["wan"]).teacache.variants
    for name, variant in variants.items():
        is_retained = name.endswith("-ret")
        assert variant.warmup_steps == (5 if is_retained else 0), name
        assert variant.signal == ("timestep_proj" if is_retained or name == "wan2.2" else None), name
