"""What a rule says about one step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Choice = Literal["compute", "reuse"]

NOT_FINITE = "non-finite distance"
"""The reason of a step that is computed because what was measured is no number to go by."""


@dataclass(frozen=True)
class Verdict:
    """Compute or reuse, and why.

    Attributes:
        choice: `compute` or `reuse`.
        reason: What decided, or what forced the computation.
        numbers: What the rule went by, in its own words; empty where nothing was measured.
        yields: Whether branches that decide together may overrule it: the rule would rather, but need not.
    """

    choice: Choice
    reason: str
    numbers: Mapping[str, float] = field(default_factory=dict)
    yields: bool = False
