"""The worked example of docs/rules.md, run as it stands there."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
import torch

import teaspec
from tests.runtime.models import flux_pipeline, generate, tiny_flux
from tests.test_first_contact import block_of

STEPS = 12
RATIOS = tuple(1.0 + 0.03 * ((-1) ** step) * (step % 4) for step in range(STEPS))


def expected(ratios: tuple[float, ...], most: float, longest: int, retained: float) -> list[str]:
    """MagCache's decisions, written down from its paper; first and last step computed."""
    found, ratio, error, skipped = [], 1.0, 0.0, 0
    for step, one in enumerate(ratios):
        ratio, error, skipped = ratio * one, error + abs(1 - ratio * one), skipped + 1
        kept = step in (0, len(ratios) - 1) or step < retained * len(ratios)
        if kept or error > most or skipped > longest:
            found.append("compute")
            ratio, error, skipped = 1.0, 0.0, 0
        else:
            found.append("reuse")
    return found


@pytest.mark.parametrize("settings", [{}, {"error": 0.2}, {"error": 0.5, "longest": 2, "retained": 0.0}])
def test_mag_cache_decides_as_its_paper_says(settings: dict[str, Any]) -> None:
    """Goes red with a ratio that is not multiplied up, or an error that is not added up."""
    example = block_of("docs/rules.md", "class MagCache")
    assert len(example.strip().splitlines()) <= 60
    names: dict[str, Any] = {"__name__": __name__}
    exec(example, names)
    rule = names["MagCache"](RATIOS, **settings)
    pipe = flux_pipeline(tiny_flux())
    calls = Counter[str]()
    pipe.transformer.transformer_blocks[0].register_forward_hook(lambda *_: calls.update(["blocks"]))
    with teaspec.enabled(pipe, rule=rule), torch.no_grad():
        generate(pipe, STEPS, cfg=True)
        branches = teaspec.stats(pipe).transformers[0].branches
        text = str(teaspec.stats(pipe))
    wanted = expected(RATIOS, rule.error, rule.longest, rule.retained)
    assert {"compute", "reuse"} == set(wanted)
    assert [[one.decision for one in branch.decisions] for branch in branches] == [wanted, wanted]
    assert calls["blocks"] == 2 * wanted.count("compute")
    assert "magnitude" in text and "ratio" in text


def test_the_calls_on_the_page_are_ones_that_work() -> None:
    for line in block_of("docs/rules.md", "teaspec.enable(pipe, budget=12)").splitlines():
        if line.startswith("teaspec.enable"):
            pipe = flux_pipeline(tiny_flux())
            exec(line, {"teaspec": teaspec, "pipe": pipe})
            with torch.no_grad():
                generate(pipe, 4)
            assert teaspec.stats(pipe).computed >= 2
