"""The `tolerance` of `teacache`: what a tolerance comes to on the model."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from teaspec.compiler.forms.frozen import Form, Text


class Gain(Form):
    """How the error of a result compares with what is expected behind the blocks.

    Attributes:
        gain: The error of the result over what is expected.
        forecast: What the reused steps added there.
        limit: The `residual_limit` of that.
        source: What was run.
    """

    gain: float = Field(gt=0)
    forecast: Literal["last", "line", "parabola", "blend"] = "last"
    limit: float = Field(default=1.0, ge=0)
    source: Text | None = None
