"""`teaspec compare` on the command line: what it says, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.compare.conftest import run_compare

LOADERS = "tests.compare.loaders"


def test_it_ends_with_the_call_to_copy(prompts: Path) -> None:
    """Mutations: the further settings left out of the call."""
    done = run_compare(
        *(f"{LOADERS}:run_by_hand", prompts, "--budget", "2,0.75", "--steps", 4),
        *("--enable", "residual_order=1", "--enough", 1),
    )
    assert done.exit_code == 0, done.output
    lines = done.stdout.rstrip().split("\n")
    assert lines[-2:] == [
        "budget=2: the fewest computed steps at 1 dB or more.",
        "teaspec.enable(pipe, budget=2, residual_order=1)",
    ]
    text = " ".join(done.stdout.split())
    assert "StableDiffusion3Pipeline with SD3Transformer2DModel on cpu, 2 generations each: 2 prompts, 1 seed" in text
    assert "budget=0.75 3 of 4" in text
    assert "at 2 computed steps, the nearest first: budget=" in text


def test_each_setting_is_tried_with_each_forecast(prompts: Path) -> None:
    """Mutations seen red: a limit for `last`; the forecast in the label and not in what is enabled."""
    done = run_compare(
        *(f"{LOADERS}:run_by_hand", prompts, "--budget", "2,4", "--steps", 6, "--format", "json"),
        *("--forecast", "last,blend", "--limit", "0.5,1"),
    )
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)["settings"]
    assert [one["arguments"] for one in found] == [
        {"budget": budget, **added}
        for budget in (2, 4)
        for added in (
            {"forecast": "last"},
            {"forecast": "blend", "residual_limit": 0.5},
            {"forecast": "blend", "residual_limit": 1.0},
        )
    ]
    assert [one["setting"] for one in found[:2]] == [
        "budget=2, last",
        "budget=2, blend, limit 0.5",
    ]
    # Where the first and the last step are computed, there is no line at the others.
    nearness = [one["psnr"] for one in found]
    assert nearness[0] == nearness[1] == nearness[2]
    assert len({str(one) for one in nearness[3:]}) > 1


@pytest.mark.parametrize(
    ("loader", "options", "code", "message"),
    [
        ("sd3", "", 2, "there is nothing to compare: give --budget 8,12, --tolerance 0.02 or --threshold 0.25"),
        ("sd3", "--budget eight", 2, "expected numbers with commas between them, as in 8,12, found 'eight'"),
        ("sd3", "--budget ,", 2, "expected numbers with commas between them, as in 8,12, found none"),
        ("sd3", "--budget 0", 2, "budget must be a number of steps"),
        ("sd3", "--threshold -1", 2, "rel_l1_thresh must be a finite number above 0"),
        ("sd3", "--budget 2 --seeds 0.5", 2, "expected whole numbers from 0 on, as in 0,1, found '0.5'"),
        ("sd3", "--budget 2 --enable order=1", 2, "order"),
        ("sd3", "--budget 2 --forecast cubic", 2, "expected some of last,line,parabola,blend, found 'cubic'"),
        ("sd3", "--budget 2 --forecast line --limit -1", 2, "expected numbers from 0 up, as in 0.5,1, found '-1'"),
        ("sd3", "--budget 2 --limit 0.5", 2, "it is how far a forecast is followed: give --forecast blend"),
        (
            *("sd3", "--budget 2 --forecast line --enable forecast=last", 2),
            "forecast is given for all settings, and again to be tried: leave out one of the two",
        ),
        ("sd3", "--budget 2 --set steps", 2, "expected NAME=VALUE, found steps"),
        ("sd3", "--budget 2 --html no/such/page.html", 2, "page.html cannot be written: there is no folder"),
        ("sd4", "--budget 2", 2, "tests.compare.loaders has no 'sd4'"),
        ("nothing", "--budget 2", 2, "a function that returns a pipeline is called; found a int"),
        ("number", "--budget 2", 2, "a pipeline is called with a prompt; found a int"),
        (
            "three",
            "--budget 2",
            2,
            "a loader returns a pipeline, or (pipeline, arguments as a dict), or",
        ),
        ("no_transformer", "--budget 2", 2, "has no transformer that TeaCache knows"),
        ("cached_already", "--budget 2", 2, "TeaCache is on already for transformer"),
        ("latents", "--budget 2 --steps 2", 1, "have them decoded: output_type='np'"),
        ("failing", "--budget 2 --steps 2", 1, "a generation failed (budget=2, seed 0, prompt 'a lighthouse')"),
    ],
)
def test_what_cannot_be_done_is_said(loader: str, options: str, code: int, message: str, prompts: Path) -> None:
    """Mutations: the folder of the page not looked for; a tuple of three taken for a pipeline."""
    done = run_compare(f"{LOADERS}:{loader}", prompts, *options.split())
    assert message in " ".join(done.output.replace("│", " ").split())
    assert done.exit_code == code


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"# none\n\n", "holds no prompt"),
        (b"\xff", "no text in UTF-8"),
    ],
)
def test_a_file_without_prompts_is_refused(text: bytes | None, message: str, tmp_path: Path) -> None:
    """Mutations: the file read as Latin-1."""
    path = tmp_path / "prompts.txt"
    if text is not None:
        path.write_bytes(text)
    done = run_compare(f"{LOADERS}:sd3", path, "--budget", 2)
    assert message in done.output
    assert done.exit_code == 2


def test_a_setting_that_is_unknown_is_refused_in_the_words_of_enable() -> None:
    """Mutations: the check left out, so that a generation was made first."""
    from teaspec.compare.settings import settings_of

    settings: dict[str, Any] = {"budgets": [8]}
    with pytest.raises(ValueError, match="did you mean 'budget'"):
        settings_of(settings, {})
