"""The whole of a random model."""

from __future__ import annotations

from dataclasses import dataclass

from tests.compiler.random_forwards.aliases import Aliases
from tests.compiler.random_forwards.attributes import Attributes
from tests.compiler.random_forwards.helpers import Helpers
from tests.compiler.random_forwards.loops import Loops
from tests.compiler.random_forwards.matches import Matches
from tests.compiler.random_forwards.scope import Chooser
from tests.compiler.random_forwards.tails import Tails

MODULE = """\
import torch
from torch import nn

from tests.toys.parts import NormOut, SingleBlock, TimeEmbed


class Kind:
    first = "a"


def bump(values):
    values.append(len(values) % 5 + 1)
    return values[-1]


def blend(one, other, weight=0.5):
    return one * weight + other * (1 - weight)
"""
MODEL = """

class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.count = 1
        self.x_embedder = nn.Linear(8, 8)
        self.time_embed = TimeEmbed()
        self.extra = nn.Linear(8, 8)
        self.other = nn.Linear(8, 8)
        self.mix = nn.Linear(8, 8)
        self.blocks = nn.ModuleList([SingleBlock() for _ in range(2)])
        self.more_blocks = nn.ModuleList([SingleBlock()])
        self.norm_out = NormOut()
        self.proj_out = nn.Linear(8, 8)

    def forward(self, hidden_states, timestep, flag=False, scale=None, options=None, fail=None, skip=()):
"""


@dataclass(frozen=True)
class RandomModel:
    """A random model.

    Attributes:
        source: The text of its module.
        loops: Its block loops.
        repeatable: The blocks change no arguments and draw no random numbers: from the same block outputs, a step
            without blocks has to give the same result.
        anew: The arguments of which no value is made together with what the blocks compute: from the same block
            outputs, a step without blocks at other such arguments has to give what the forward gives from them.
        kinds: The kinds of statements in it, and those with the place where they stand.
    """

    source: str
    loops: tuple[str, ...]
    repeatable: bool
    anew: frozenset[str]
    kinds: frozenset[str]


def random_model(chooser: Chooser) -> RandomModel:
    """Writes a model."""
    return _Writer(chooser).model()


class _Writer(Aliases, Attributes, Helpers, Loops, Matches, Tails):
    def model(self) -> RandomModel:
        loops = ["blocks"] if self.chooser.choose((True, False)) else ["blocks", "more_blocks"]
        self.prelude()
        self.in_blocks = True
        self.loop("blocks")
        if len(loops) > 1:
            self.between()
            self.loop("more_blocks")
        self.tail()
        self.in_blocks, self.in_postlude, self.place = False, True, "postlude"
        condition = self.any_condition()
        self.write(f"hidden_states = self.norm_out(hidden_states, {condition})")
        self.bind("hidden_states", "tensor", f"hidden_states + {condition}")
        self.statements(0, 4)
        self.finish()
        lines = [*MODULE.splitlines(), *self.functions, *MODEL.splitlines(), *self.lines, *self.helpers]
        anew = frozenset(self.anew)
        return RandomModel("\n".join(lines) + "\n", tuple(loops), self.repeatable, anew, frozenset(self.kinds))

    def prelude(self) -> None:
        self.statements(0, 3)
        openings = [
            ("temb", "condition", "self.time_embed(timestep)", "timestep"),
            ("hidden_states", "tensor", "self.x_embedder(hidden_states)", "hidden_states"),
        ]
        if self.chooser.choose((True, False)):
            openings.reverse()
        for name, kind, value, of in openings:
            self.write(f"{name} = {value}")
            self.bind(name, kind, of)
            self.statements(0, 4)
        if not self.chooser.number(0, 2):
            name = self.new("tensor")
            form = self.chooser.choose(("hidden_states", "hidden_states * 0.5", "hidden_states + temb[:, None]"))
            self.write(f"{name} = {form}")
            self.bind(name, "tensor", form, None if " " in form else self.memory_of(form))

    def between(self) -> None:
        self.place = "between"
        before = self.variables["hidden_states"]
        self.statements(0, 2)
        if self.variables["hidden_states"] is not before:
            self.keeps_stream = False

    def tail(self) -> None:
        self.place = "tail"
        self.end_blocks()
        for _ in range(self.chooser.number(0, 2)):
            before = self.variables["hidden_states"]
            if not self.chooser.number(0, 2):
                self.kinds.add("tail")
                self.write_tail()
                if self.keeps_stream:
                    continue  # it is done again, so it does not belong to the blocks
            else:
                self.statement(0, frozenset())
            if self.variables["hidden_states"] is not before:
                self.end_blocks()

    def choices(self, depth: int) -> list[str]:
        """What hardly compiles in the blocks is drawn there seldom: most forwards have to compile."""
        kinds = super().choices(depth)
        seldom = self.in_blocks and self.chooser.number(0, 2)
        kinds += ["shared"] if seldom else ["shared", "shared", "through"]
        if self.usable("condition"):
            kinds += ["anew", "anew"] if seldom else ["anew", "helper", "helper"]
        if self.in_postlude or not self.in_blocks or not self.chooser.number(0, 15):
            kinds += ["note"]
        if self.usable("attribute") and not seldom:
            kinds += ["recall", "recall"]
        if depth < 2 and not seldom:
            kinds += ["match", "match"]
        return kinds

    def write_anew(self) -> None:
        """A condition that is made of itself."""
        name = self.any_condition()
        forms = ("{0} * 0.5 + 1", "self.mix({0})", "{0} + 1", "blend({0}, {0} * 2)", "{0} * {1}")
        text = self.chooser.choose(forms).format(name, self.number())
        self.write(f"{name} = {text}")
        self.bind(name, "condition", text)

    def finish(self) -> None:
        self.write("output = self.proj_out(hidden_states)")
        values = [variable for variable in self.variables.values() if not variable.conditions]
        chosen = [self.chooser.choose(values).name for _ in range(self.chooser.number(0, 3))]
        if self.chooser.choose((False, True)):
            self.write("if scale is not None:", "    return (output, scale)")
        self.write(f"return ({', '.join(['output', *chosen])},)")
