"""Which calls run past the cache."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Bypass:
    """A rule for one argument of a call, written `name`, `name = value` or `name.attribute.0 = value`.

    Attributes:
        argument: The argument.
        steps: Attributes and indexes from the argument to the value that the rule asks for.
        value: How that value is written where a call runs past the cache; None for any value but None.
    """

    argument: str
    steps: tuple[str, ...]
    value: str | None

    @classmethod
    def parse(cls, text: str) -> Bypass:
        """Reads a rule as a spec writes it."""
        path, equals, value = (part.strip() for part in text.partition("="))
        argument, *steps = path.split(".")
        return cls(argument, tuple(steps), value if equals else None)

    def holds_for(self, passed: Any) -> bool:
        """Whether a call that passes this for the argument, None for nothing, runs past the cache."""
        for step in self.steps:
            if passed is None:
                return False
            try:
                passed = passed[int(step)] if step.isdigit() else getattr(passed, step)
            except (AttributeError, LookupError, TypeError):
                return True  # not what the rule is about, so nothing is known of such a call
        return passed is not None if self.value is None else str(passed) == self.value
