"""A plan of `teacache.plans`: which steps a budget computes."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from pydantic import Field, ValidationInfo, field_validator

from teaspec.compiler.forms.frozen import Form, Sequence, Text
from teaspec.compiler.forms.mistake import mistake

_FIRST = "the first step has the number 0; nothing is there to be reused"
_PLAN_HELP = "for example `{steps: 8, computed: [0, 1, 3, 7]}`; `teaspec calibrate --budget` finds them"


class Plan(Form):
    """Which steps of a generation are best computed, where so many of them are.

    Attributes:
        steps: Steps of the generations that it was found on.
        computed: Numbers of the computed ones, from 0 on.
        forecast: What the reused steps added there.
        limit: The `residual_limit` of that.
        error: Relative error of the result on prompts that were held out.
        even: The same of as many steps evenly placed.
        source: What was run.
    """

    steps: int = Field(ge=2)
    computed: Sequence[int]
    forecast: Literal["last", "line", "parabola", "blend"] = "last"
    limit: float = Field(default=1.0, ge=0)
    error: float | None = Field(default=None, ge=0)
    even: float | None = Field(default=None, ge=0)
    source: Text | None = None

    @field_validator("computed")
    @classmethod
    def _begins_and_rises(cls, computed: tuple[int, ...], info: ValidationInfo) -> tuple[int, ...]:
        if not computed:
            raise mistake("empty-list", "expected the numbers of the computed steps, found an empty list", _PLAN_HELP)
        if computed[0] != 0:
            raise mistake("bad-plan", f"a plan computes the first step, and this one begins with {computed[0]}", _FIRST)
        for before, after in pairwise(computed):
            if after <= before:
                message = f"the numbers of the computed steps must rise, and {after} stands behind {before}"
                raise mistake("bad-plan", message, _PLAN_HELP)
        steps = info.data.get("steps")
        if steps is not None and computed[-1] >= steps:
            message = f"of {steps} steps the last one is {steps - 1}, and this plan computes {computed[-1]}"
            raise mistake("bad-plan", message, "count steps from 0, or give the number of `steps` that it is for")
        return computed
