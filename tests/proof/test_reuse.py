"""The oracle of reused steps: faults that leave computed steps exact are found, on every shipped spec."""

from __future__ import annotations

from pathlib import Path

import pytest

from teaspec.compiler import compile_spec, load_spec
from teaspec.compiler.passes.import_model import import_model
from teaspec.proof.properties import PROPERTIES
from teaspec.proof.reuse import moves_with_time
from teaspec.proof.run import check_spec, prove, surroundings
from teaspec.proof.subject import Subject
from tests.mutants import FAILED, read_mutants, run_mutant
from tests.proof.broken import outcome
from tests.proof.reused import (
    Leaving,
    Noting,
    Samples,
    Timeless,
    Token,
    Twice,
    changed,
    entry_of_an_earlier_call,
    of_an_earlier_call,
    verbatim,
)
from tests.proof.sliced import MODELS, spec_text
from tests.proof.small import SPEC

FILES = {path.stem: path for path in sorted((Path(__file__).parents[2] / "specs").glob("*.yaml"))}
USUAL = ("cogvideox", "flux", "hidream_image", "latte", "longcat_audio_dit", "motif_video", "wan_vace")
OF_THE_STREAMS_ALONE = (
    "joyimage_edit",
    "joyimage_edit_plus",
    "minimax_music3",
    "stable_audio",
    "stable_audio3",
    "t5_film_decoder",
)
"""Their postludes get nothing of a call but the streams, `return_dict` and sizes: an earlier call's are no other."""

EVERY = [pytest.param(name, marks=() if name in USUAL else pytest.mark.thorough) for name in FILES]
(REUSE,) = (item for item in PROPERTIES if item.name == "reuse")
SCALED = SPEC.replace("scale?: 1.5", "scale: {tensor: [batch, image, 6]}").replace(
    "    options?: {dict: {new: 2}}\n", ""
)
SINGLE = SPEC.replace("style: dual", "style: single")
MUTANTS = read_mutants(Path(__file__).with_name("mutants.yaml"))


def subject_of(name: str) -> Subject:
    spec = load_spec(FILES[name])
    return Subject(spec, import_model(spec), compile_spec)


@pytest.mark.parametrize("fault", [verbatim, of_an_earlier_call, entry_of_an_earlier_call])
@pytest.mark.parametrize("name", EVERY)
def test_a_reused_step_that_is_wrong_is_found_on_a_shipped_spec(name, fault, monkeypatch):
    """Mutations: the output, all but the streams, or the streams, are those of the last computed step."""
    subject = subject_of(name)
    if subject.spec.blocks.frozen is not None:
        pytest.skip(f"a reused step cannot move: {subject.spec.blocks.frozen}")
    is_no_fault = fault is of_an_earlier_call and name in OF_THE_STREAMS_ALONE
    with surroundings(), changed(fault, monkeypatch):
        assert prove(subject, REUSE, examples=10, seed=0).passed == is_no_fault


def test_the_other_properties_do_not_see_it(monkeypatch):
    subject = subject_of("flux")
    with surroundings(), changed(of_an_earlier_call, monkeypatch):
        failed = {item.name for item in PROPERTIES if not prove(subject, item, examples=5, seed=0).passed}
    assert failed == {"reuse"}


@pytest.mark.parametrize("name", MODELS)
def test_a_cut_is_proven(name):
    """Mutations: mutants.yaml takes out a rule of the slicer for each model, or two."""
    assert outcome("exact", model=MODELS[name], text=spec_text(name), examples=4).passed
    found = outcome("reuse", model=MODELS[name], text=spec_text(name), examples=12)
    assert found.passed, found.message


@pytest.mark.thorough
@pytest.mark.parametrize("rule", MUTANTS)
def test_without_a_rule_of_the_slicer_reused_steps_are_wrong(rule, tmp_path):
    run = run_mutant(MUTANTS[rule], tmp_path)
    assert run.returncode == FAILED, run.stdout[-3000:] + run.stderr[-3000:]
    assert 'found = outcome("reuse"' in run.stdout, "computed steps tell it, or it does not compile"


def test_what_enters_between_blocks_is_listed():
    found = outcome("reuse", model=Samples, text=SCALED)
    assert "`blocks: {carried: [...]}`" in found.message
    listed = SCALED.replace("loops: [blocks]", "loops: [blocks], carried: [scale]")
    assert outcome("reuse", model=Samples, text=listed).passed


def test_an_output_that_cannot_move_is_stated():
    text = SPEC.replace("    scale?: 1.5\n    options?: {dict: {new: 2}}\n", "")
    found = outcome("reuse", model=Token, text=text)
    assert "`blocks: {frozen: ...}`" in found.message
    stated = text.replace("loops: [blocks]", "loops: [blocks], frozen: one token is read")
    assert outcome("reuse", model=Token, text=stated).passed


def test_a_statement_that_a_spec_makes_is_true():
    for name, path in FILES.items():
        spec = load_spec(path)
        if spec.blocks.frozen is not None:
            plain = path.read_text(encoding="utf-8").replace(f", frozen: {spec.blocks.frozen}", "")
            subject = Subject(load_spec(plain), import_model(spec), compile_spec)
            with surroundings():
                assert "frozen" in prove(subject, REUSE, examples=20, seed=0).message, name


def test_blocks_that_write_into_an_argument_are_an_error_that_says_what_to_do():
    text = SINGLE.replace("    scale?: 1.5\n", "")
    found = outcome("reuse", model=Noting, text=text)
    assert "blocks write into the argument `options`" in found.message
    assert "`bypass: [options]`" in found.message
    assert outcome("reuse", model=Noting, text=text.replace("head:", "bypass: [options]\nhead:")).passed


def test_attributes_that_nobody_reads_are_those_of_any_call():
    assert outcome("reuse", model=Leaving, text=SINGLE).passed


def test_what_cannot_be_judged_is_said():
    subject = Subject(load_spec(SPEC), Twice, compile_spec)
    with surroundings():
        assert prove(subject, REUSE, examples=20, seed=0).passed
    assert set(subject.unjudged.values()) == {"other blocks run, or in another order, where only values have changed"}


@pytest.mark.parametrize(("model", "expected"), [(Timeless, False), (Samples, True)])
def test_whether_the_timestep_alone_moves_a_reused_step(model, expected):
    text = SCALED if model is Samples else SPEC
    subject = Subject(load_spec(text), model, compile_spec)
    with surroundings():
        assert moves_with_time(subject, subject.largest) is expected


def test_the_report_says_it():
    report = check_spec(load_spec(FILES["prior"]), examples=1)
    assert report.movement.frozen == "the head reads a token whose entry is a parameter"
    assert report.as_dict()["movement"]["unjudged"] == {}
    assert check_spec(load_spec(FILES["flux"]), examples=1).cached.arguments == (
        "controlnet_block_samples",
        "controlnet_single_block_samples",
    )
