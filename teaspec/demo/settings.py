"""What the demo generates and how often: plain data, read by everything else here."""

from __future__ import annotations

from dataclasses import dataclass

IDENTITY = (0.0, 0.0, 0.0, 1.0, 0.0)
"""The polynomial x: what is accumulated is the relative L1 distance itself."""


@dataclass(frozen=True)
class DemoSettings:
    """The size of the demo.

    Attributes:
        thresholds: One cached run for each of these `rel_l1_thresh`, in this order.
        coefficients: Rescaling polynomial, highest degree first. The identity by default: the published FLUX polynomial
            was fitted to trained weights, and at the distances of this model it is nearly constant, about 0.2 a step.
        steps: Denoising steps of one generation.
        batch: Images generated at once.
        side: Image tokens along one side; the image has `side * side` of them.
        text_tokens: Length of the random prompt embeddings.
        double_blocks: Blocks with an image and a text stream.
        single_blocks: Blocks over the joined stream.
        heads: Attention heads of 32 channels each.
        rounds: Interleaved repetitions that the medians are taken over.
        replays: How often every step is repeated, hooked and unhooked in turn, to measure the hook itself.
        seed: Seed of weights, prompt embeddings and noise.
    """

    thresholds: tuple[float, ...] = (0.03, 0.06, 0.1)
    coefficients: tuple[float, ...] = IDENTITY
    steps: int = 28
    batch: int = 4
    side: int = 16
    text_tokens: int = 32
    double_blocks: int = 2
    single_blocks: int = 5
    heads: int = 6
    rounds: int = 3
    replays: int = 2
    seed: int = 0
