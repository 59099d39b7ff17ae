"""`teaspec calibrate`, and what it writes into specs."""

from __future__ import annotations

import difflib
import json
import shutil
from datetime import date
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from teaspec.calibrate.choosing import FORECASTS
from teaspec.calibrate.fit import Fit
from teaspec.calibrate.thresholds import Threshold
from teaspec.calibrate.write import Origin, with_fit
from teaspec.cli import app
from teaspec.cli.calibrate import _wanted
from teaspec.cli.calibrate import calibrate as calibrate_command
from teaspec.compiler import load_spec
from tests.runtime.denoising import SPECS

MADE = "tests.calibrate.prompted:make"
FIT = Fit((1.5, 2e-7, -3.0, 4.25, 0.0), 4, 240, 8, 0.91234, 0.87654, (0.01, 0.2), (0.02, 0.3), (), ())
ORIGIN = Origin("teaspec calibrate, my:pipeline, 8 prompts, 28 steps", date(2026, 11, 24))


@pytest.fixture(scope="module")
def prompts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("prompts") / "prompts.txt"
    path.write_text("# digits\nzero\n\none\nthirteen\n", encoding="utf-8")
    return path


def calibrate(*arguments: Any, env: dict[str, str] | None = None) -> Any:
    return CliRunner().invoke(app, ["calibrate", *map(str, arguments)], env=env)


def test_from_a_pipeline_to_a_spec(prompts: Path, tmp_path: Path) -> None:
    spec, plot = tmp_path / "flux.yaml", tmp_path / "fit.png"
    shutil.copy(SPECS / "flux.yaml", spec)
    done = calibrate(
        *(MADE, prompts, "--steps", 9, "--plot", plot, "--write", spec, "--format", "json"),
    )
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert (found["transformer_type"], found["pairs"], found["generations"]) == ("FluxTransformer2DModel", 24, 3)
    assert len(found["coefficients"]) == 5
    assert 0 <= found["r2"] <= 1
    assert found["cross_validated_r2"] <= found["r2"]
    assert found["thresholds"]
    for threshold in found["thresholds"]:
        assert 0 <= threshold["measured"] < 1
        assert (threshold["error"] > 0) is (threshold["measured"] > 0)
        assert set(threshold["forecast"]) == {"0.5", "1.0"}
    assert plot.read_bytes().startswith(b"\x89PNG")
    facts = load_spec(spec).teacache
    assert facts.coefficients == pytest.approx(found["coefficients"], rel=1e-8)
    told = f"24 pairs, R2 {found['r2']:.4f}, cross-validated {found['cross_validated_r2']:.4f}"
    made = f"teaspec calibrate, {MADE}, 3 prompts, 9 steps, {date.today().isoformat()}"
    assert facts.source == f"{made}; {told}"
    assert [one.thresh for one in facts.thresholds] == [one["value"] for one in found["thresholds"]]


def test_plans_from_a_pipeline_to_a_spec(prompts: Path, tmp_path: Path) -> None:
    """Goes red where plans are found and not written, or those written that are worse than even steps."""
    spec = tmp_path / "flux.yaml"
    shutil.copy(SPECS / "flux.yaml", spec)
    asked = (MADE, prompts, "--steps", 7, "--verify", 0, "--budget", "3,4", "--limit", "0.5,1", "--moves", 0)
    done = calibrate(*asked, "--write", spec, "--format", "json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)
    assert [(one["steps"], len(one["computed"])) for one in found["plans"]] == [(7, 3), (7, 4)]
    assert {one["rule"].split()[0] for one in found["ranking"]} == {"plan", "even", "threshold", "tolerance"}
    better = [
        (tuple(one["computed"]), one["forecast"], one["limit"]) for one in found["plans"] if one["error"] <= one["even"]
    ]
    written = load_spec(spec).teacache.plans
    assert [(one.computed, one.forecast, one.limit) for one in written] == better
    assert {(one["forecast"], one["limit"]) for one in found["ranking"]} == {
        ("last", 1.0),
        *((kind, limit) for kind in ("line", "blend", "parabola") for limit in (0.5, 1.0)),
    }
    told = f"teaspec calibrate, {MADE}, 2 prompts, judged by 1 others, {date.today().isoformat()}"
    assert all(one.source == told for one in written)
    assert found["plans"][0]["source"] == told
    text = calibrate(*asked).stdout
    for one in found["plans"]:
        steps = ", ".join(map(str, one["computed"]))
        added = f"{one['forecast']}, limit {one['limit']:g}"
        assert f"plan {len(one['computed'])} of 7 steps, {added}: {steps} (error {one['error']:.4f}" in text
        assert ("worse than evenly" in text) is (len(better) < 2)


def test_tolerances_from_a_pipeline_to_a_spec(prompts: Path, tmp_path: Path) -> None:
    """Goes red where the gain is measured and not written."""
    spec = tmp_path / "flux.yaml"
    shutil.copy(SPECS / "flux.yaml", spec)
    asked = (MADE, prompts, "--steps", 7, "--verify", 0, "--tolerance", "0.05,0.2")
    done = calibrate(*asked, "--write", spec, "--format", "json")
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)["tolerance"]
    assert [one["tolerance"] for one in found["met"]] == [0.05, 0.2]
    written = load_spec(spec).teacache.tolerance
    assert written is not None and dict(written) == found["gain"]
    assert (written.forecast, written.limit) == ("blend", 1.0)
    assert written.source == f"teaspec calibrate, {MADE}, 2 prompts, judged by 1 others, {date.today().isoformat()}"
    text = calibrate(*asked).stdout
    assert f"of {written.gain:g}" in text and "blend, limit 1" in text


def test_without_a_word_it_tries_what_is_documented() -> None:
    """The command does not import what the numbers live in. Goes red where one of the two changes alone."""
    given = signature(calibrate_command).parameters
    assert _wanted("8", given["forecast"].default, given["limit"].default, MADE) == ([8], list(FORECASTS))


def test_processes_share_the_prompts_and_fit_in_the_end(prompts: Path, tmp_path: Path) -> None:
    common = (MADE, prompts, "--steps", 7, "--save", tmp_path / "pairs.npz")
    for rank in range(2):
        done = calibrate(*common, env={"RANK": str(rank), "WORLD_SIZE": "2"})
        assert (done.exit_code, done.stdout) == (0, ""), done.output
        assert done.stderr == f"{tmp_path / f'pairs-{rank}.npz'}: {(12, 6)[rank]} pairs\n"
    alone = calibrate(*common, "--format", "json", "--verify", 0)
    shards = [argument for rank in (0, 1) for argument in ("--shard", tmp_path / f"pairs-{rank}.npz")]
    merged = calibrate(*shards, "--format", "json")
    first, second = json.loads(alone.stdout), json.loads(merged.stdout)
    assert second["pairs"] == 18
    assert second["coefficients"] == pytest.approx(first["coefficients"], rel=1e-6)
    assert second["thresholds"][0]["measured"] is None
    text = calibrate(*shards)
    assert all(word in text.stdout for word in ("FluxTransformer2DModel", "18, of 3", "cross-validated", "replayed"))


def test_a_function_may_say_how_its_pipeline_is_run(prompts: Path) -> None:
    made = ("tests.calibrate.prompted:make_with_run", prompts, "--steps", 7, "--format", "json")
    one, two = (json.loads(calibrate(*made, *more).stdout) for more in ((), ("--set", "scale=2")))
    assert one == two  # the scale of the result changes nothing that is relative


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "give a pipeline and a file of prompts"),
        ([MADE], 2, "give a pipeline and a file of prompts"),
        (["nowhere", "PROMPTS"], 1, "nowhere: no such folder; give a diffusers model folder, or module:function"),
        (["no_such:make", "PROMPTS"], 1, "no_such:make: no module named 'no_such'"),
        (["tests.calibrate.prompted:mak", "PROMPTS"], 1, "tests.calibrate.prompted has no 'mak'"),
        (["tests.calibrate.prompted:make_nothing", "PROMPTS"], 1, "found a int, which cannot be"),
        (["specs", "PROMPTS"], 1, "specs is no folder of a diffusers pipeline"),
        ([MADE, "missing.txt"], 2, "missing.txt cannot be read: No such file or directory"),
        ([MADE, "PROMPTS", "--set", "steps"], 2, "expected NAME=VALUE, found steps"),
        ([MADE, "PROMPTS", "--transformer", "vae"], 1, "there is no transformer 'vae'"),
        ([MADE, "PROMPTS", "--write", "missing.yaml"], 2, "missing.yaml: no such file"),
        ([MADE, "PROMPTS", "--steps", "2", "--verify", "0"], 1, "needs more than 4 different distances"),
        ([MADE, "PROMPTS", "--budget", "8,x"], 2, "expected numbers of steps, as in 8,12,16, found 8,x"),
        ([MADE, "PROMPTS", "--budget", "8", "--forecast", "lin"], 2, "last,line,parabola,blend, found 'lin'"),
        ([MADE, "PROMPTS", "--budget", "8", "--limit", "0.5,x"], 2, "numbers from 0 up, as in 0.5,1, found 'x'"),
        ([MADE, "PROMPTS", "--tolerance", "0.1,0"], 2, "numbers above 0, as in 0.01,0.05, found '0.1,0'"),
        ([MADE, "PROMPTS", "--tolerance", "0.1,x"], 2, "numbers above 0, as in 0.01,0.05, found '0.1,x'"),
        (["--shard", "README.md", "--tolerance", "0.1"], 2, "measured by generations: give a pipeline"),
        ([MADE, "PROMPTS", "--budget", "8", "--limit", "-1"], 2, "numbers from 0 up, as in 0.5,1, found '-1'"),
        ([MADE, "PROMPTS", "--budget", "8", "--held-out", "3"], 1, "of 3, 3 cannot be held out; hold out 1 to 2"),
        (["--shard", "README.md", "--budget", "8"], 2, "plans are found by generations: give a pipeline"),
        (["--shard", "README.md"], 1, "README.md is no shard of collected pairs"),
    ],
)
def test_what_cannot_be_done_is_said(arguments: list[str], code: int, message: str, prompts: Path) -> None:
    done = calibrate(*(str(prompts) if one == "PROMPTS" else one for one in arguments))
    assert message in " ".join(done.output.replace("│", " ").split())
    assert done.exit_code == code


def test_a_spec_of_another_model_is_left_alone(prompts: Path, tmp_path: Path) -> None:
    spec = tmp_path / "wan.yaml"
    shutil.copy(SPECS / "wan.yaml", spec)
    done = calibrate(MADE, prompts, "--steps", 7, "--verify", 0, "--write", spec)
    assert done.exit_code == 1
    assert "is about WanTransformer3DModel, the pairs are of FluxTransformer2DModel" in done.output
    assert spec.read_text() == (SPECS / "wan.yaml").read_text()


@pytest.mark.parametrize("path", sorted(SPECS.glob("*.yaml")), ids=lambda path: path.stem)
def test_a_fit_changes_nothing_else_of_a_spec(path: Path) -> None:
    before = path.read_text(encoding="utf-8")
    after = with_fit(before, FIT, ORIGIN)
    lines = difflib.ndiff(before.splitlines(), after.splitlines())
    changed = [line for line in lines if line[0] in "+-"]
    keys = ("coefficients", "source", "status", "thresholds")
    assert all(line[2:].strip().startswith(keys) or line[2:] == "teacache:" for line in changed), changed
    if path.stem not in ("flux", "wan", "latte"):
        return
    old, new = load_spec(before), load_spec(after)
    assert (new.teacache.status, tuple(new.teacache.coefficients)) == ("published", FIT.coefficients)
    changed_facts = {"coefficients", "source", "status", "thresholds"}
    for name in set(type(old.teacache).model_fields) - changed_facts:
        assert getattr(new.teacache, name) == getattr(old.teacache, name)
    for name in set(type(old).model_fields) - {"teacache"}:
        assert getattr(new, name) == getattr(old, name)
    assert with_fit(after, FIT, ORIGIN) == after


def test_comments_stay() -> None:
    text = "teaspec: 1 # one\nteacache: # two\n  # three\n  source: s # four\n  note: n # five\n\n# six\nprobe: {}\n"
    after = with_fit(text, FIT, ORIGIN, [Threshold(0.1, 0.5, 0.5, 0.01234)])
    for word in ("one", "two", "three", "four", "five", "six"):
        assert f"# {word}\n" in after
    assert '{thresh: 0.1, speedup: 2.0, note: "reuses 50% of the steps, relative L1 0.0123"}' in after.replace("'", '"')


def test_a_variant_gets_its_own() -> None:
    after = load_spec(with_fit((SPECS / "flux.yaml").read_text(), FIT, ORIGIN, variant="schnell"))
    before = load_spec(SPECS / "flux.yaml")
    assert after.teacache.variants["schnell"].coefficients == FIT.coefficients
    assert after.teacache.coefficients == before.teacache.coefficients
    assert after.teacache.variants["kontext"] == before.teacache.variants["kontext"]
