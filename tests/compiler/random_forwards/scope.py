"""What a random forward may read at one place: its variables, and expressions made of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

T = TypeVar("T")

CONDITIONS = ("flag", "not flag", "scale is not None", "scale is None", "options is not None")


class Chooser(Protocol):
    """Makes the choices."""

    def choose(self, options: Sequence[T]) -> T:
        """One of the options."""

    def number(self, low: int, high: int) -> int:
        """A number from low to high, both included."""


@dataclass(frozen=True)
class Variable:
    """A local of the forward.

    Attributes:
        name: Its name.
        kind: `tensor` [batch, tokens, 8], `view` [batch, 1, 8], `condition` [batch, 8], made of the timestep alone,
            `number`, `list` of numbers or `dict` of numbers.
        given: Whether it may share memory with an argument.
        conditions: It is bound only where these hold.
    """

    name: str
    kind: str
    given: bool = False
    conditions: frozenset[str] = frozenset()


class Scope:
    """The lines so far, and the variables that are bound behind them."""

    def __init__(self, chooser: Chooser) -> None:
        self.chooser = chooser
        self.variables = {
            "hidden_states": Variable("hidden_states", "tensor", given=True),
            "options": Variable("options", "dict", given=True, conditions=frozenset({"options is not None"})),
        }
        self.lines: list[str] = []
        self.helpers: list[str] = []
        self.indent = 2
        self.fresh = 0
        self.conditions: frozenset[str] = frozenset()
        self.in_blocks = False
        self.in_postlude = False
        self.repeatable = True
        self.separable = True
        self.functions = 0

    # Writing

    def write(self, line: str) -> None:
        self.lines.append("    " * self.indent + line)

    # Variables

    def usable(self, *kinds: str) -> list[Variable]:
        return [
            variable
            for variable in self.variables.values()
            if variable.kind in kinds and variable.conditions <= self.conditions
        ]

    def some(self, *kinds: str) -> Variable | None:
        usable = self.usable(*kinds)
        return self.chooser.choose(usable) if usable else None

    def bind(self, variable: Variable) -> None:
        old = self.variables.get(variable.name)
        if old is not None and self.conditions:
            weaker = self.conditions if self.conditions <= old.conditions else old.conditions
            variable = replace(variable, given=variable.given or old.given, conditions=weaker)
        elif old is None:
            variable = replace(variable, conditions=self.conditions)
        self.variables[variable.name] = variable

    def target(self, kind: str) -> str:
        """A new name, or one of the same kind to rebind."""
        names = [variable.name for variable in self.usable(kind) if variable.name != "options"]
        if names and self.chooser.choose((True, False)):
            return self.chooser.choose(names)
        self.fresh += 1
        return f"{kind}_{self.fresh}"

    def changed(self, variable: Variable) -> None:
        if self.in_blocks and variable.given:
            self.repeatable = False

    # Expressions

    def number(self) -> str:
        forms = [str(self.chooser.number(1, 5)), "(scale or 3)"]
        # What the postlude would have to make again of the shape that the blocks return is refused.
        forms += ["hidden_states.shape[1]"] if not self.in_blocks or not self.chooser.number(0, 5) else []
        forms += [variable.name for variable in self.usable("number")]
        forms += [f"len({variable.name})" for variable in self.usable("list", "dict")]
        forms += [f"(sum({variable.name}) % 5 + 1)" for variable in self.usable("list")]
        form = self.chooser.choose(forms)
        return form if self.chooser.number(0, 2) else f"({form} + {self.chooser.choose(forms)}) % 7"

    def condition(self) -> str:
        """An expression that is made of conditions."""
        first, second = (self.chooser.choose(self.usable("condition")).name for _ in range(2))
        forms = (
            f"{first} * 0.5 + 1",
            f"{first} + {second}",
            f"{first} * {self.number() if not self.chooser.number(0, 3) else self.chooser.number(2, 5)}",
            f"self.mix({first})",
            f"blend({first}, {second})",
            f"{first} if {self.chooser.choose(CONDITIONS)} else {second} * 2",
        )
        return self.chooser.choose(forms)

    def tensor(self) -> tuple[str, bool]:
        """An expression, and whether what it gives is somebody else's memory."""
        first = self.chooser.choose(self.usable("tensor"))
        second = self.chooser.choose(self.usable("tensor", "view"))
        form = self.chooser.number(0, 6)
        if form == 0:
            return f"{first.name} * ({self.number()})", False
        if form == 1:
            return f"{first.name} + {second.name}", False
        if form == 2:
            return f"self.{self.chooser.choose(('extra', 'other'))}({first.name})", False
        if form == 3:
            return f"blend({first.name}, {second.name}, {self.number()})", False
        if form == 4:
            return f"{first.name}.flip(1)", False
        if form == 5:
            return f"{first.name} if {self.chooser.choose(CONDITIONS)} else {first.name} * 2", first.given
        return f"torch.cat([{first.name}, {first.name}], dim=1)[:, :{first.name}.shape[1]] - {second.name}", False
