"""Drafts of models outside diffusers, what cannot be drafted, and the text that is written."""

from pathlib import Path

import pytest
import torch
import yaml
from typer.testing import CliRunner

from teaspec.authoring.schema import modeline
from teaspec.cli import app
from teaspec.compiler import load_spec
from teaspec.draft.construct import ConstructionError, guess_config
from teaspec.draft.draft import DraftError, draft_spec
from teaspec.draft.landmarks import NoLandmarksError
from teaspec.draft.writing import flow
from teaspec.proof.limits import little_memory
from teaspec.proof.run import check_spec
from tests.draft.models import NeedsTable

SMALL = "tests.draft.models:SmallDiT"


@pytest.fixture(scope="module")
def small():
    return draft_spec(SMALL)


def test_the_landmarks_of_any_module_are_found(small):
    spec = load_spec(small.text)
    assert str(spec.embed) == "time_in -> emb"
    assert (spec.norm, spec.head) == ("layers.0.norm", "norm_out")
    assert (spec.blocks.style, spec.blocks.loops) == ("single", ("layers",))
    assert spec.streams.hidden == "x"


def test_the_widths_of_inputs_are_learned_from_the_model(small):
    inputs = yaml.safe_load(small.text)["probe"]["inputs"]
    assert inputs["x"] == ["batch", "image", 6]
    # 48 by default, made small with the rest
    assert inputs["text"] == ["batch", "text", 32]


def test_the_draft_passes_the_check_untouched(small):
    report = check_spec(load_spec(small.text), examples=4, allow=("tests",))
    assert all(result.passed for result in report.properties)


def test_the_hidden_stream_is_the_one_that_gets_into_the_result():
    """Mutation: `read_behind` takes every name that is read."""
    found = draft_spec("tests.draft.models:WatchedDiT").landmarks
    assert (found.guess.streams.hidden, found.error) == ("tokens", None)


def test_alternatives_stand_in_comments(small):
    assert "embed: time_in -> emb\n" in small.text
    assert "head: norm_out # or `proj_out`" in small.text


def test_a_constructor_that_cannot_be_guessed_names_the_argument():
    with pytest.raises(ConstructionError, match="`table`") as caught:
        guess_config(NeedsTable)
    assert caught.value.arguments == ("table",)


def test_a_model_without_blocks_is_refused():
    with pytest.raises(NoLandmarksError, match="iterates no list of blocks"):
        draft_spec("tests.draft.models.NoBlocks")


@pytest.mark.parametrize("name", ["tests.draft.models.Smal", "tests.draft.nowhere:Model", "json.JSONDecoder"])
def test_what_is_no_module_class_is_refused(name):
    with pytest.raises(DraftError, match=name.rpartition(".")[0].split(":")[0]):
        draft_spec(name)


@pytest.mark.parametrize(
    "value",
    [{"a": [1, 2.5, None, True]}, {"tensor": ["batch", "2 * rows"]}, ["no", "", "a: b", "#", '"', "\\", "1e3", "12"]],
)
def test_what_is_written_is_read_back(value):
    assert yaml.safe_load(flow(value)) == value


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="only Linux says how much a process has mapped")
def test_a_guess_cannot_take_all_memory():
    with little_memory(), pytest.raises(RuntimeError, match="alloc"):
        torch.empty(1 << 33)
    assert torch.empty(4).shape == (4,)


def test_the_command_writes_a_file_once(tmp_path):
    target = tmp_path / "small.yaml"
    first = CliRunner().invoke(app, ["init", SMALL, "-o", str(target)])
    assert (first.exit_code, load_spec(target).class_name) == (0, "SmallDiT")
    assert target.read_text(encoding="utf-8").startswith(f"{modeline(tmp_path)}\nteaspec: 1\n")
    second = CliRunner().invoke(app, ["init", SMALL, "-o", str(target)])
    assert second.exit_code == 2
    assert "overwrites nothing" in second.output


def test_the_command_says_what_it_cannot_guess():
    result = CliRunner().invoke(app, ["init", "tests.draft.models:NeedsTable"])
    assert result.exit_code == 1
    assert "`table`" in result.output
