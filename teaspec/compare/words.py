"""How the figures of a comparison are said, on the terminal and on the page alike."""

from __future__ import annotations

import math

from teaspec.compare.result import Comparison


def heading(comparison: Comparison) -> str:
    """Says what was compared."""
    transformers = ", ".join(dict.fromkeys(comparison.transformers.values()))
    device = f" on {comparison.device}" if comparison.device else ""
    return f"{comparison.pipeline} with {transformers}{device}, {generations(comparison)}"


def generations(comparison: Comparison) -> str:
    """Says how many generations each setting made, of what."""
    prompts = len({motif.prompt for motif in comparison.motifs})
    seeds = len({motif.seed for motif in comparison.motifs})
    made = len(comparison.motifs)
    return (
        f"{made} generation{'s' * (made > 1)} each: {prompts} prompt{'s' * (prompts > 1)}, "
        f"{seeds} seed{'s' * (seeds > 1)}"
    )


def notes(comparison: Comparison) -> list[str]:
    """Says what the figures rest on, and what is in doubt."""
    found = [
        "PSNR, SSIM and the time ratio compare each generation with the uncached one of the same prompt and seed, made "
        "in the same round; medians over the generations"
    ]
    if not math.isinf(comparison.repeats):
        found.append(
            f"this pipeline does not repeat itself: two uncached generations of one seed are "
            f"{decibels(comparison.repeats)} apart, so no setting can be much nearer; seed whatever else it draws"
        )
    if comparison.without_lpips is not None:
        found.append(comparison.without_lpips)
    if len(comparison.motifs) < 4:
        found.append(
            f"{generations(comparison)}: a few more prompts or seeds, and the order of near neighbours can be trusted"
        )
    return found


def decibels(value: float) -> str:
    """Writes a PSNR."""
    return "equal" if value == math.inf else f"{value:.1f} dB"


def share(computed: float, steps: float) -> str:
    """Writes how many steps were computed."""
    return f"{computed:g} of {steps:g}" if computed == round(computed) else f"{computed:.1f} of {steps:g}"
