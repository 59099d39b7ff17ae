"""Which calls run past the cache.

A rule comes out of a spec, perhaps a stranger's. It reads what an argument holds and runs nothing: no property, no
`__getattr__`, no method. An index alone asks a container that has its own way to find what it holds.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from types import MemberDescriptorType
from typing import Any


@dataclass(frozen=True)
class Bypass:
    """A rule for one argument of a call, written `name`, `name = value` or `name.attribute.0 = value`.

    Attributes:
        argument: What the forward calls it.
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
        """Whether a call that passes this for the argument, None for nothing, runs past the cache.

        What the rule is not about, so that nothing is known of such a call, runs past it, too.
        """
        for step in self.steps:
            if passed is None:
                return False
            try:
                passed = passed[int(step)] if step.isdigit() else _held(passed, step)
            except (AttributeError, LookupError, TypeError):
                return True
        if passed is None or self.value is None:
            return passed is not None
        return _is_written(passed, self.value)


def _held(holder: Any, name: str) -> Any:
    """What an object holds under a public name: in itself, in a slot, or as a plain value of its class."""
    if name.startswith("_"):
        raise AttributeError(name)
    found = inspect.getattr_static(holder, name)
    if isinstance(found, MemberDescriptorType):
        return found.__get__(holder)
    if hasattr(type(found), "__get__"):
        raise AttributeError(name)  # a method or property: to have its value would be to run it
    return found


def _is_written(value: Any, text: str) -> bool:
    """Whether a text is how a spec writes a value; true, too, for what no spec can write."""
    truth = next((truth for truth, words in _BOOLEANS.items() if text in words), None)
    if isinstance(value, str):
        return truth is not None or str.__str__(value) == text  # that of a text, also of a member of an enumeration
    if type(value) not in (bool, int, float):
        return True
    if type(value) is bool or truth is not None:
        return bool(value) is truth
    try:
        return bool(float(text) == value)
    except ValueError:
        return False


_BOOLEANS = {True: ("true", "True", "TRUE"), False: ("false", "False", "FALSE")}
"""As YAML 1.2 writes them (its core schema, section 10.3.2)."""
