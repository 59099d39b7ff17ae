"""What a random forward may read at one place: its variables, what they are made of, and what shares memory."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol, TypeVar

T = TypeVar("T")
Names = frozenset[str]
Memory = frozenset[int]

CONDITIONS = ("flag", "not flag", "scale is not None", "scale is None", "options is not None")
TIME, LATENTS, BLOCKS = "timestep", "hidden_states", "blocks"
"""What a value may be made of: the two arguments that another call passes anew, and what the blocks compute."""
ARGUMENT: Memory = frozenset({0})
"""The memory of what the caller passed."""


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
            `number`, `list` of numbers or `dict` of numbers; `attribute`: a tensor on the model, `self.` in its name.
        memory: The objects that it may share memory with.
        of: What it may be made of.
        conditions: It is bound only where these hold.
    """

    name: str
    kind: str
    memory: Memory = frozenset()
    of: Names = frozenset()
    conditions: Names = frozenset()


class Scope:
    """The lines so far, and the variables that are bound behind them.

    Attributes:
        repeatable: The blocks change no arguments and draw no random numbers.
        anew: The arguments that another call may pass anew, where it is known what a step without blocks has to give.
        kinds: The kinds of statements that were written.
        place: Where the forward is being written: in the prelude, a loop, between loops, behind them, in the postlude.
        keeps_stream: Nothing between the loops binds the stream.
    """

    def __init__(self, chooser: Chooser) -> None:
        self.chooser = chooser
        self.variables = {
            "hidden_states": Variable("hidden_states", "tensor", ARGUMENT, frozenset({LATENTS})),
            "timestep": Variable("timestep", "argument", ARGUMENT, frozenset({TIME})),
            "options": Variable("options", "dict", ARGUMENT, conditions=frozenset({"options is not None"})),
        }
        self.lines: list[str] = []
        self.helpers: list[str] = []
        self.functions: list[str] = []
        self.indent = 2
        self.fresh = 0
        self.conditions: Names = frozenset()
        self.in_blocks = False
        self.in_postlude = False
        self.bound_in_blocks: set[str] = set()
        self.repeatable = True
        self.anew = {TIME, LATENTS}
        self.kinds: set[str] = set()
        self.place = "prelude"
        self.keeps_stream = True
        self._turns: list[list[tuple[str, list[str]]]] = []

    # Writing

    def write(self, *lines: str) -> None:
        self.lines += ["    " * self.indent + line for line in lines]

    def new(self, kind: str) -> str:
        """A name that nothing has."""
        self.fresh += 1
        return f"{kind}_{self.fresh}"

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

    def any_condition(self) -> str:
        return self.chooser.choose(self.usable("condition")).name

    def target(self, kind: str) -> str:
        """A new name, or one of the same kind to rebind."""
        names = [variable.name for variable in self.usable(kind) if variable.name != "options"]
        if names and self.chooser.choose((True, False)):
            return self.chooser.choose(names)
        return self.new(kind)

    def bind(self, name: str, kind: str, text: str = "", memory: Memory | None = None) -> None:
        """Notes that a name is bound to a value of a text, which is a new object unless it has another's memory."""
        if memory is None:
            self.fresh += 1
            memory = frozenset({self.fresh})
        of = self.made_of(text)
        if self.in_blocks and name == "hidden_states":
            of |= {BLOCKS}  # whatever is bound to the stream there, a reused step takes it for what the blocks made
        variable = Variable(name, kind, memory, of)
        old = self.variables.get(name)
        if old is not None and self.conditions:
            weaker = self.conditions if self.conditions <= old.conditions else old.conditions
            variable = replace(variable, memory=memory | old.memory, of=variable.of | old.of, conditions=weaker)
        elif old is None:
            variable = replace(variable, conditions=self.conditions)
        self.variables[name] = variable
        self._note(name, text)
        if self.in_blocks:
            self.bound_in_blocks.add(name)

    def change(self, variable: Variable, text: str = "") -> None:
        """Notes that an object is changed in place by a value of a text."""
        if self.in_blocks and variable.memory & ARGUMENT:
            self.repeatable = False
        for other in list(self.variables.values()):
            if other.name == variable.name or other.memory & variable.memory:
                self.variables[other.name] = replace(other, of=other.of | self.made_of(text))
                self._note(other.name, text)
                if self.in_blocks:
                    self.bound_in_blocks.add(other.name)

    # What values are made of

    def made_of(self, text: str) -> Names:
        """What the value of a text may be made of."""
        return frozenset().union(*(self.variables[name].of for name in self._read(text)))

    def memory_of(self, text: str) -> Memory:
        """The objects that the value of a text may share memory with."""
        return frozenset().union(*(self.variables[name].memory for name in self._read(text)))

    def enter_turns(self) -> None:
        """Notes that what follows is run more than once."""
        self._turns.append([])

    def leave_turns(self) -> None:
        """What a later turn reads is what an earlier one made."""
        turn = self._turns.pop()
        for _ in turn:
            for name, read in turn:
                variable = self.variables[name]
                others = [self.variables[other] for other in read]
                of = variable.of.union(*(other.of for other in others))
                self.variables[name] = replace(variable, of=of)
        if self._turns:
            self._turns[-1] += turn

    def through_block(self) -> None:
        """Notes that a block makes the stream: whatever it was before is forgotten."""
        for turn in self._turns:
            turn[:] = [(name, read) for name, read in turn if name != "hidden_states"]
        self.bind("hidden_states", "tensor")
        self.variables["hidden_states"] = replace(self.variables["hidden_states"], of=frozenset({BLOCKS}))

    def end_blocks(self) -> None:
        """Notes that the blocks end here or later.

        What they make of their outputs and of something of the call is that of the last computed step: what a step
        without blocks has to give for another such call is not known.
        """
        for variable in self.variables.values():
            if BLOCKS in variable.of:
                self.anew -= variable.of

    def _read(self, text: str) -> list[str]:
        text = re.sub(r"\w+\.shape|len\(\w+\)", "", text)  # the same in every call
        return [
            name
            for name in dict.fromkeys(re.findall(r"(?<![.\w'])(?:self\.)?[a-z]\w*", text))
            if name in self.variables
        ]

    def _note(self, name: str, text: str) -> None:
        if self._turns:
            self._turns[-1].append((name, self._read(text)))
