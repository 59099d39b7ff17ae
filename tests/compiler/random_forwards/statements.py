"""Writes random small forwards: text that runs, in which statements get in each other's way as much as they can.

The text is made of choices only, which hypothesis or a seeded generator make: so hypothesis can shrink what fails.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.compiler.random_scope import CONDITIONS, Chooser, Scope, Variable

HEADER = """\
import torch
from torch import nn

from tests.toys.parts import NormOut, SingleBlock, TimeEmbed


def bump(values):
    values.append(len(values) % 5 + 1)
    return values[-1]


def blend(one, other, weight=0.5):
    return one * weight + other * (1 - weight)


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

    def forward(self, hidden_states, timestep, flag=False, scale=None, options=None, fail=None):
"""
FORBIDDEN_IN_LOOP = frozenset({"in_place", "store", "call", "random", "state", "walrus", "function"})


@dataclass(frozen=True)
class RandomModel:
    """A random model.

    Attributes:
        source: The text of its module.
        loops: Its block loops.
        repeatable: The blocks change neither arguments nor the model and draw no random numbers: from the same block
            outputs, a step without blocks has to give the same result.
        separable: No value depends on both the timestep and what the blocks compute: from the same block outputs, a
            step without blocks at another time has to give what the forward gives from them.
    """

    source: str
    loops: tuple[str, ...]
    repeatable: bool
    separable: bool


def random_model(chooser: Chooser) -> RandomModel:
    """Writes a model."""
    return _Writer(chooser).model()


class _Writer(Scope):
    def model(self) -> RandomModel:
        self.statements(0, 3)
        openings = ["temb = self.time_embed(timestep)", "hidden_states = self.x_embedder(hidden_states)"]
        if self.chooser.choose((True, False)):
            openings.reverse()
        for opening in openings:
            self.write(opening)
            is_stream = opening.startswith("hidden")
            self.bind(Variable("hidden_states", "tensor") if is_stream else Variable("temb", "condition"))
            self.statements(0, 4)
        self.in_blocks = True
        self.loop("blocks")
        loops = ["blocks"]
        if self.chooser.choose((False, True)):
            self.statements(0, 2)
            self.loop("more_blocks")
            loops.append("more_blocks")
        self.statements(0, 2)
        if self.chooser.choose((False, True)):
            self.rebind_stream()
        self.in_blocks, self.in_postlude = False, True
        condition = self.chooser.choose(self.usable("condition")).name
        self.write(f"hidden_states = self.norm_out(hidden_states, {condition})")
        self.bind(Variable("hidden_states", "tensor"))
        self.statements(0, 4)
        self.finish()
        source = HEADER + "\n".join([*self.lines, *self.helpers]) + "\n"
        return RandomModel(source, tuple(loops), self.repeatable, self.separable)

    def statements(self, least: int, most: int, depth: int = 0, without: frozenset[str] = frozenset()) -> None:
        for _ in range(self.chooser.number(least, most)):
            self.statement(depth, without)

    def statement(self, depth: int, without: frozenset[str]) -> None:
        kinds = ["assign", "assign", "assign", "alias", "comprehension", "read"]
        # What the blocks change in place and the postlude reads is mostly refused.
        if not self.in_blocks or not self.chooser.number(0, 2):
            kinds += ["augment", "in_place", "store", "call"]
            kinds += ["random", "state"]
        kinds += ["walrus", "raise"]
        if self.usable("condition"):
            kinds += ["condition", "condition", "pair"]
        if self.usable("condition") and self.chooser.number(0, 5) == 5:
            kinds.append("merge")
        if self.chooser.number(0, 5) == 5:  # a function that captures a name which is rebound later is refused
            kinds.append("function")
        if depth < 2:
            kinds += ["if", "if", "for", "with"]
        kind = self.chooser.choose([kind for kind in kinds if kind not in without])
        method = getattr(self, f"write_{kind}")
        if kind in {"if", "for", "with"}:
            method(depth, without)
        else:
            method()

    # Statements

    def write_assign(self) -> None:
        kind = self.chooser.choose(("tensor", "number", "list", "dict"))
        name = self.target(kind)
        if kind == "tensor":
            text, given = self.tensor()
            self.write(f"{name} = {text}")
            self.bind(Variable(name, kind, given=given))
            return
        if kind == "number":
            text = self.number()
        elif kind == "list":
            text = f"[{self.number()}, {self.number()}]"
        else:
            text = f"{{'a': {self.number()}}}"
        self.write(f"{name} = {text}")
        self.bind(Variable(name, kind))

    def write_condition(self) -> None:
        name = self.target("condition")
        self.write(f"{name} = {self.condition()}")
        self.bind(Variable(name, "condition"))

    def write_pair(self) -> None:
        """The stream and a condition, bound together."""
        name = self.target("condition")
        text = f"(hidden_states * {self.number()}, {self.condition()})"
        if self.chooser.number(0, 3):
            self.write(f"hidden_states, {name} = {text}")
        else:
            self.fresh += 1
            self.write(f"pair_{self.fresh} = {text}")
            self.write(f"hidden_states, {name} = pair_{self.fresh}")
        self.bind(Variable("hidden_states", "tensor"))
        self.bind(Variable(name, "condition"))

    def write_merge(self) -> None:
        """A condition is made of what the blocks compute."""
        if self.in_blocks:
            self.separable = False
        name = self.target("condition")
        self.write(f"{name} = {self.condition()} + hidden_states.mean(1)")
        self.bind(Variable(name, "condition"))

    def write_augment(self) -> None:
        variable = self.some("number")
        if variable is not None:
            self.write(f"{variable.name} {self.chooser.choose(('+', '-', '*'))}= {self.number()}")
            self.write(f"{variable.name} = {variable.name} % 9")

    def write_in_place(self) -> None:
        variable = self.some("tensor", "view")
        if variable is None:
            return
        self.changed(variable)
        form = self.chooser.choose(("{0} *= 0.5", "{0} += {1}", "{0}.add_({1})", "{0}[:, 0].mul_(0.5)"))
        self.write(form.format(variable.name, self.number()))

    def write_store(self) -> None:
        variable = self.some("tensor", "view", "list", "dict")
        if variable is None:
            return
        self.changed(variable)
        if variable.kind == "list":
            self.write(f"{variable.name}[-1:] = [{self.number()}]")
        elif variable.kind == "dict":
            self.write(f"{variable.name}[{self.chooser.choose(('a', 'b'))!r}] = {self.number()}")
        else:
            operator = self.chooser.choose(("=", "+=", "*="))
            place = self.chooser.choose((":, :1", ":, 0", "...", "0"))
            self.write(f"{variable.name}[{place}] {operator} {self.number()}")

    def write_call(self) -> None:
        variable = self.some("list", "dict")
        if variable is None:
            return
        self.changed(variable)
        name = variable.name
        if variable.kind == "dict":
            form = self.chooser.choose(("{0}.update(b={1})", "{0}.setdefault('c', {1})", "{0}.pop('a', {1})"))
            self.write(form.format(name, self.number()))
            return
        form = self.chooser.number(0, 3)
        if form == 0:
            self.write(f"{name}.append({self.number()})")
        elif form == 1:
            self.write(f"{name}.extend([{self.number()}] * 2)")
        else:
            target = self.target("number")
            self.write(f"{target} = bump({name})" if form == 2 else f"{target} = {name}.pop() if {name} else 1")
            self.bind(Variable(target, "number"))

    def write_alias(self) -> None:
        variable = self.some("tensor", "list", "dict")
        if variable is None:
            return
        if variable.kind == "tensor" and self.chooser.choose((True, False)):
            name = self.target("view")
            self.write(f"{name} = {variable.name}[:, :1]")
            self.bind(Variable(name, "view", given=variable.given))
            return
        name = self.target(variable.kind)
        if name != variable.name:
            self.write(f"{name} = {variable.name}")
            self.bind(Variable(name, variable.kind, given=variable.given))

    def write_comprehension(self) -> None:
        source = self.some("list")
        name = self.target("list")
        over = source.name if source is not None else "hidden_states.shape"
        inner = self.chooser.choose(("index", "hidden_states", "flag"))
        self.write(f"{name} = [({inner} + size) % 5 for size in {over}[:3] for {inner} in range(2) if size > {inner}]")
        self.bind(Variable(name, "list"))

    def write_random(self) -> None:
        if self.in_blocks:
            self.repeatable = False
        name = self.target("tensor")
        self.write(f"{name} = torch.rand(1, hidden_states.shape[1], 8) + hidden_states")
        self.bind(Variable(name, "tensor"))

    def write_state(self) -> None:
        if self.in_blocks:
            self.repeatable = False
        self.write("self.count += 1")
        name = self.target("number")
        self.write(f"{name} = self.count % 4")
        self.bind(Variable(name, "number"))

    def write_walrus(self) -> None:
        first, second = self.target("number"), self.target("number")
        self.write(f"{first} = ({second} := {self.number()}) + 1")
        self.bind(Variable(second, "number"))
        self.bind(Variable(first, "number"))

    def write_raise(self) -> None:
        reason = self.chooser.choose(("first", "second"))
        self.write(f"if fail == {reason!r}:")
        self.write(f"    raise ValueError(fail, {self.number()})")

    def write_function(self) -> None:
        self.functions += 1
        variable = self.some("number", "tensor")
        captured = variable.name if variable is not None else "2"
        self.write(f"def function_{self.functions}(x, y={self.number()}):")
        self.write(f"    return x * {captured} + y")
        name = self.target("tensor")
        self.write(f"{name} = function_{self.functions}({self.chooser.choose(self.usable('tensor')).name})")
        self.bind(Variable(name, "tensor"))

    def write_read(self) -> None:
        """Reads a name that is bound under a condition, under the same condition."""
        maybe = [variable for variable in self.variables.values() if variable.conditions]
        if not maybe:
            return
        variable = self.chooser.choose(maybe)
        if variable.kind == "condition" and not self.in_postlude:
            self.separable = False
        amount = {"number": "{0}", "list": "len({0})", "dict": "len({0})"}.get(variable.kind, "{0}.mean()")
        self.write(f"if {' and '.join(sorted(variable.conditions))}:")
        self.write(f"    hidden_states = hidden_states * (1 + {amount.format(variable.name)})")
        self.bind(Variable("hidden_states", "tensor"))

    def write_if(self, depth: int, without: frozenset[str]) -> None:
        condition = self.chooser.choose(CONDITIONS)
        self.branch(f"if {condition}:", frozenset({condition}), depth, without)
        if self.chooser.choose((False, True)):
            self.branch("else:", frozenset({f"not ({condition})"}), depth, without)

    def branch(self, opening: str, conditions: frozenset[str], depth: int, without: frozenset[str]) -> None:
        self.write(opening)
        self.indent += 1
        outside, self.conditions = self.conditions, self.conditions | conditions
        before = len(self.lines)
        self.statements(1, 2, depth + 1, without)
        if len(self.lines) == before:
            self.write("pass")
        self.conditions = outside
        self.indent -= 1

    def write_for(self, depth: int, without: frozenset[str]) -> None:
        self.branch(f"for step in range({self.chooser.number(1, 2)}):", frozenset(), depth, without)

    def write_with(self, depth: int, without: frozenset[str]) -> None:
        self.branch("with torch.no_grad():", frozenset(), depth, without)

    def loop(self, blocks: str) -> None:
        if not self.chooser.number(0, 5):
            self.helper(blocks)
            return
        header = self.chooser.choose(("for block in self.{0}:", "for index, block in enumerate(self.{0}):"))
        self.write(header.format(blocks))
        self.indent += 1
        self.statements(0, 1, 1, FORBIDDEN_IN_LOOP if self.chooser.number(0, 4) else frozenset())
        if self.chooser.choose((False, True)):
            self.write("if torch.is_grad_enabled() and flag is None:")
            self.write("    hidden_states = torch.utils.checkpoint.checkpoint(block, hidden_states, temb)")
            self.write("else:")
            self.write("    hidden_states = block(hidden_states, temb)")
        else:
            condition = self.chooser.choose(self.usable("condition")).name
            form = self.chooser.choose(("{0}", "temb={0} * 2"))
            self.write(f"hidden_states = block(hidden_states, {form.format(condition)})")
        self.bind(Variable("hidden_states", "tensor"))
        self.statements(0, 2, 1)
        self.indent -= 1

    def helper(self, blocks: str) -> None:
        """The loop stands in a method that returns the stream and a condition."""
        lines = [f"def run_{blocks}(self, hidden_states, temb, amount=2):"]
        if blocks != "blocks" and not self.chooser.number(0, 3):  # so it is no method that could be written out
            lines += ["    if temb is None:", "        return hidden_states, temb"]
        lines += [f"    for block in self.{blocks}:", "        hidden_states = block(hidden_states, temb)"]
        if self.chooser.choose((False, True)):
            lines.append("        temb = temb * amount + 1")
        lines.append(f"    return hidden_states, {self.chooser.choose(('temb', 'temb * 0.5'))}")
        self.helpers += ["", *(f"    {line}" for line in lines)]
        given = self.chooser.choose(self.usable("condition")).name
        name = self.target("condition")
        amount = self.chooser.choose(("", f", {self.number()}"))
        self.write(f"hidden_states, {name} = self.run_{blocks}(hidden_states, {given}{amount})")
        self.bind(Variable("hidden_states", "tensor"))
        self.bind(Variable(name, "condition"))

    def rebind_stream(self) -> None:
        text, given = self.tensor()
        self.write(f"hidden_states = {text}")
        self.bind(Variable("hidden_states", "tensor", given=given))

    def finish(self) -> None:
        self.write("output = self.proj_out(hidden_states)")
        values = [variable for variable in self.variables.values() if not variable.conditions]
        chosen = [self.chooser.choose(values).name for _ in range(self.chooser.number(0, 3))]
        if self.chooser.choose((False, True)):
            self.write("if scale is not None:")
            self.write("    return (output, scale)")
        self.write(f"return ({', '.join(['output', *chosen])},)")
