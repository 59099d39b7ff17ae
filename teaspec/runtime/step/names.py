"""Names of vLLM-Omni's hook that are about its one rule."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from teaspec.runtime.rules.rule import Rule
from teaspec.runtime.rules.threshold import Polynomial, Threshold


class Ruled(Protocol):
    """What has a rule."""

    @property
    def rule(self) -> Rule:
        """What decides."""


class Names:
    """What a hook is asked for by these names."""

    @property
    def rescale_func(self: Ruled) -> Callable[[float], float]:
        """The polynomial that rescales distances; 0 everywhere where another rule decides."""
        return self.rule.rescale if isinstance(self.rule, Threshold) else Polynomial(())
