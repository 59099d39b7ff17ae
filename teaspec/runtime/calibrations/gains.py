"""What a tolerance comes to on a model, as `teaspec calibrate --tolerance` measured it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Gain:
    """How the error of a result compares with what is expected behind the blocks.

    Attributes:
        gain: The error of the result over what is expected: what the head and the sampler make of it.
        forecast: What a reused step added when it was measured.
        limit: The `residual_limit` of that.
        source: What was run.
    """

    gain: float
    forecast: str = "last"
    limit: float = 1.0
    source: str | None = None
