"""What is known of a function that a forward calls."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field

from teaspec.compiler.forms.places import Attribute


@dataclass(frozen=True)
class CallSummary:
    """What is known of a function whose source could be read.

    Attributes:
        loads: Attributes of the model that it reads.
        stores: Attributes of the model that it sets.
        changes: Positions and names of parameters whose objects it may change in place.
        random: It may draw random numbers.
        external: It may do something else that is seen from outside.
        fresh: What it returns never shares an object with what it is given.
    """

    loads: frozenset[Attribute] = frozenset()
    stores: frozenset[Attribute] = frozenset()
    changes: frozenset[int | str] = frozenset()
    random: bool = False
    external: bool = False
    fresh: bool = False
    node: ast.FunctionDef | None = field(default=None, repr=False, compare=False)
    """The function itself, where it is one."""

    def either(self, other: CallSummary) -> CallSummary:
        """What is known of a function that is one of two."""
        return CallSummary(
            self.loads | other.loads,
            self.stores | other.stores,
            self.changes | other.changes,
            self.random or other.random,
            self.external or other.external,
            self.fresh and other.fresh,
        )
