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
    "causvid",
    "cond_between",
    "cond_updates",
    "dit",
    "dit_moe",
    "edm",
    "flux_bfl",
    "hunyuan_dit",
    "hunyuan_video",
    "latte",
    "lumina_next",
    "mdt",
    "min_rf",
    "opensora_plan",
    "pixart",
    "reversed_blocks",
    "sit_repa",
    "stable_audio",
    "stdit",
    "timm_style",
    "tread",
    "uvit",
    "uvit_between",
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


NAMED = ("causvid", "cond_updates", "dit", "flux_bfl", "hunyuan_dit", "mdt", "reversed_blocks", "uvit", "uvit_between")
"""Those that a mutation makes fail; the others are like them."""


@pytest.mark.parametrize(
    "name", [name if name in NAMED else pytest.param(name, marks=pytest.mark.thorough) for name in UNTOUCHED]
)
def test_the_draft_passes_untouched(name: str) -> None:
    """Each mutation makes the models behind it fail.

    `looked_up` learns nothing (dit), nor `pooled` or `batched` (flux_bfl), nor `smaller_numbers` or `joined`
    (uvit_between), nor `described_rank` (causvid); `_norms_of` follows no method (hunyuan_dit); `are_enough` takes any
    number of blocks (uvit, mdt); `_backwards` sees none (reversed_blocks); `rank_streams` asks nothing of the latents
    (cond_updates).
    """
    assert passes_untouched(name)


@pytest.mark.thorough
def test_the_others_do_not() -> None:
    """The docs tell what was measured: a model that has begun to pass belongs on the list."""
    assert [name for name in MODELS if name not in UNTOUCHED and passes_untouched(name)] == []


def test_the_docs_say_how_many() -> None:
    found = re.search(r"(\d+) of the (\d+) research models", DOCS)
    assert found is not None
    assert (int(found[1]), int(found[2])) == (len(UNTOUCHED), len(MODELS))
