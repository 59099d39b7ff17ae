"""A probe for all versions: what the model at hand lacks and another version has is left out; misspellings stay."""

from __future__ import annotations

import inspect
from dataclasses import replace

import pytest

from teaspec.compiler import SpecError, compile_anew, compile_spec, load_spec
from teaspec.proof.build import ProbeError
from teaspec.proof.fitting import fit_probe
from teaspec.proof.run import check_spec
from teaspec.versions.history import History
from tests.proof.small import SPEC, SmallTransformer

VERSIONS = ("0.35", "0.36", "0.37")
HISTORY = History(
    "0.35-0.37",
    {
        "config": {"depth": "0.36-0.37"},
        "inputs": {"guidance": "0.37-0.37", "lengths": "0.35-0.36"},
        "calls": {"embed -> t": "0.35-0.35"},
        "objects": {"Cache": "0.36-0.37"},
    },
    VERSIONS,
)
LATER = (
    SPEC.replace("{width: 6}", "{width: 6, depth: 2}").replace(
        "    scale?", "    lengths: 3\n    guidance?: 2.0\n    scale?"
    )
    + """\
    - config: {layers: 1, depth: 3}
    - inputs: {guidance: 1.0, scale: 2.0}
    - inputs: {guidance?: 1.0, scale: 3.0}
    - inputs: {options: {object: Cache, with: {size: 1}}}
    - inputs: {scale: {absent: true}}
"""
)
LEFT_OUT = (
    "setting `depth` (since diffusers 0.36)",
    "input `lengths` (in diffusers 0.35 to 0.36)",
    "input `guidance` (since diffusers 0.37)",
    "case 2, for its setting `depth` (since diffusers 0.36)",
    "case 3, for its input `guidance` (since diffusers 0.37)",
    "case 5, for its class `Cache` (since diffusers 0.36)",
)


ELSEWHERE = {"deterministic"}
"""Proven in another process, to which the small transformer has no history."""


def failed(report):
    return {result.name for result in report.properties if not result.passed}


@pytest.fixture
def known(monkeypatch):
    """The small transformer has a history."""
    for module in (
        "teaspec.proof.fitting",
        "teaspec.proof.run",
        "teaspec.compiler.rules.objects",
        "teaspec.compiler.rules.config",
        "teaspec.compiler.rules.embedding",
        "teaspec.compiler.passes.arguments",
    ):
        monkeypatch.setattr(f"{module}.history_of", lambda _model: HISTORY)


def fitted(text):
    parameters = inspect.signature(SmallTransformer.forward).parameters
    return fit_probe(load_spec(text), SmallTransformer, parameters)


def test_what_another_version_has_is_left_out_and_said(known):
    """Goes red where a case that lost its setting stays (case 2 would be like the base), or one that lost an input that
    it need not pass goes (case 4)."""
    probe = fitted(LATER)
    assert probe.left_out == LEFT_OUT
    assert probe.numbers == (0, 1, 4, 6)
    assert [dict(one.config) for one in probe.alternatives] == [
        {"width": 6},
        {"width": 6, "layers": 3},
        *[{"width": 6}] * 2,
    ]
    everything = {"hidden_states", "encoder_hidden_states", "timestep", "scale", "options"}
    assert [set(one.inputs) for one in probe.alternatives] == [
        everything,
        everything,
        everything,
        everything - {"scale"},
    ]
    assert [one.inputs["scale"].optional for one in probe.alternatives[:3]] == [True, True, False]


def test_nothing_is_left_out_of_what_nobody_knows():
    """Goes red where whatever a model lacks is left out."""
    probe = fitted(LATER)
    assert probe.left_out == () and probe.numbers == tuple(range(7))
    assert "depth" in probe.alternatives[0].config and "guidance" in probe.alternatives[0].inputs


def test_the_check_of_such_a_spec_passes_and_reports_it(known):
    report = check_spec(load_spec(LATER), examples=3, allow=["tests"])
    assert failed(report) <= ELSEWHERE and report.left_out == LEFT_OUT
    assert report.as_dict()["left_out"] == LEFT_OUT


@pytest.mark.parametrize(
    ("right", "wrong", "shown"),
    [
        ("depth: 2", "detph: 2", "it takes no `detph`"),
        ("guidance?: 2.0", "guidence: 2.0", "`guidence`, which the forward does not take"),
    ],
)
def test_a_misspelling_is_an_error_all_the_same(known, right, wrong, shown):
    """Goes red where what no version has is left out, too."""
    spec = load_spec(LATER.replace(right, wrong, 1))
    try:
        report = check_spec(spec, examples=20, allow=["tests"])
    except ProbeError as error:
        assert shown in str(error)
    else:
        assert failed(report) > ELSEWHERE and shown in report.properties[0].message


def test_a_misspelt_class_is_an_error_all_the_same(known):
    spec = load_spec(LATER.replace("object: Cache", "object: Cashe"))
    with pytest.raises(SpecError, match="defines no class `Cashe`"):
        check_spec(spec, examples=1, allow=["tests"])


def test_arguments_of_another_version_may_be_named(known):
    """Under `varying`, `bypass` and `untried`; goes red where any other name may be, too."""
    names = "varying: [hidden_states, lengths]\nbypass: [guidance = 2]\nprobe:"
    spec = load_spec(SPEC.replace("probe:", names) + "  untried: {guidance: later}\n")
    report = check_spec(spec, examples=2, allow=["tests"])
    assert failed(report) <= ELSEWHERE
    for wrong in ("lenghts", "guidence"):
        right = {"lenghts": "lengths", "guidence": "guidance = 2"}[wrong]
        with pytest.raises(SpecError, match=f"takes no argument `{wrong}`"):
            compile_spec(load_spec(SPEC.replace("probe:", names.replace(right, wrong))), SmallTransformer())


def test_a_name_that_another_version_binds_is_no_part_of_the_embedding(known):
    """`t` is bound by the call in 0.35; here it is nothing. Goes red where all unbound names are dropped."""
    extractor = compile_spec(load_spec(SPEC.replace("embed -> temb", "embed -> temb or t")), SmallTransformer())
    plain = compile_spec(load_spec(SPEC), SmallTransformer())
    assert extractor.source.replace("temb or t", "temb") == plain.source
    for wrong in ("embed -> temb or tt", "embed -> t"):
        with pytest.raises(SpecError, match="embed-binds-other-name"):
            compile_spec(load_spec(SPEC.replace("embed -> temb", wrong)), SmallTransformer())


def test_without_a_history_all_names_have_to_be_bound():
    with pytest.raises(SpecError, match="embed-binds-other-name"):
        compile_anew(load_spec(SPEC.replace("embed -> temb", "embed -> temb or t")), SmallTransformer())


def test_a_match_may_ask_for_a_key_of_another_version(known, monkeypatch):
    """Goes red where every key is excused."""
    monkeypatch.setattr(SmallTransformer, "config", {"width": 6}, raising=False)
    variant = "teacache: {variants: {other: {match: {depth: 3}}}}\nprobe:"
    assert check_spec(load_spec(SPEC.replace("probe:", variant)), examples=1, allow=["tests"]).passed
    with pytest.raises(SpecError, match="has no `detph`"):
        check_spec(load_spec(SPEC.replace("probe:", variant.replace("depth", "detph"))), examples=1, allow=["tests"])


def test_numbers_of_cases_are_those_of_the_spec(known):
    """What `--case` asks for is what it gets, or an error."""
    from teaspec.authoring.build import compile_for_probe

    spec = load_spec(LATER)
    assert compile_for_probe(spec, ["tests"], 6).source
    with pytest.raises(ProbeError, match=r"does not have it: setting `depth` \(since diffusers 0.36\)"):
        compile_for_probe(spec, ["tests"], 2)


def test_versions_of_a_class_are_told_apart():
    gone = replace(HISTORY, there="0.36-0.36")
    assert [gone.is_absent_from(version) for version in VERSIONS] == [True, False, True]
