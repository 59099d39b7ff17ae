"""Loops over blocks, in the forms that models have them in."""

from __future__ import annotations

from dataclasses import replace

from tests.compiler.random_forwards.statements import Statements

FORBIDDEN = frozenset("in_place store call random state walrus function note through".split())
"""What hardly any loop over blocks does, and is mostly refused where one does."""
FORMS = ("plain", "plain", "plain", "plain", "plain", "helper", "last", "skip", "counted")
FORMS_OF_ONE = tuple(form for form in FORMS if form != "last")  # a loop over none binds nothing


class Loops(Statements):
    """Writes loops over blocks."""

    def loop(self, blocks: str) -> None:
        form = self.chooser.choose(FORMS if blocks == "blocks" else FORMS_OF_ONE)
        self.kinds.add(f"loop: {form}")
        if form == "helper":
            self.in_helper(blocks)
            self.keeps_stream = False  # the helper's stream may have another name
            return
        before = self.variables["hidden_states"]
        outside, self.place = self.place, "loop"
        turn = self.turn()
        self.write(self._header(form).format(blocks))
        self.indent += 1
        self.enter_turns()
        # In a later turn, it is what the blocks made in an earlier one.
        self.variables["hidden_states"] = replace(before, of=before.of | {"blocks"})
        conditions = self.conditions
        skips_first = form == "skip" and self.chooser.choose((True, False))
        if skips_first:
            self.skip()
        self.statements(0, 1, 1, FORBIDDEN if self.chooser.number(0, 4) else frozenset())
        if form == "skip" and not skips_first:
            self.skip()
        entering = self.variables["hidden_states"]
        self.call_block("block" if form != "counted" else f"self.{blocks}[index]", turn)
        self.statements(0, self.chooser.number(0, 2), 1)
        self.leave_turns()
        self.indent -= 1
        self.conditions = conditions
        stream = self.variables["hidden_states"]
        if form == "skip" and (not skips_first or blocks != "blocks"):  # of two blocks, one is run
            stream = replace(stream, of=stream.of | entering.of, memory=stream.memory | entering.memory)
            self.variables["hidden_states"] = stream
        if form == "last":
            self.statements(0, 1, 1, FORBIDDEN)
            self.call_block(f"self.{blocks}[-1]", None)
        self.place = outside

    def skip(self) -> None:
        """What is bound first behind it is surely bound only where nothing is skipped."""
        self.write("if index in skip:", "    continue")
        self.conditions |= {"not skip"}

    def _header(self, form: str) -> str:
        if form == "counted":
            return "for index in range(len(self.{0})):"
        if form == "last":
            return "for block in self.{0}[:-1]:"
        if form == "skip":
            return "for index, block in enumerate(self.{0}):"
        return self.chooser.choose(("for block in self.{0}:", "for index, block in enumerate(self.{0}):"))

    def call_block(self, block: str, turn: str | None) -> None:
        """One turn: the block is called, or handed to something that calls it."""
        form = self.chooser.choose(("call", "call", "checkpoint"))
        if turn is not None:
            name = self.any_condition()
            if turn.endswith("_both"):
                other = self.target("condition")
                self.write(f"hidden_states, {other} = {turn}({block}, hidden_states, {name})")
                self.bind(other, "condition", name)
            else:
                self.write(f"hidden_states = {turn}({block}, hidden_states, {name})")
        elif form == "checkpoint":
            self.write(
                "if torch.is_grad_enabled() and flag is None:",
                f"    hidden_states = torch.utils.checkpoint.checkpoint({block}, hidden_states, temb)",
                "else:",
                f"    hidden_states = {block}(hidden_states, temb)",
            )
        else:
            given = self.chooser.choose(("{0}", "temb={0} * 2")).format(self.any_condition())
            self.write(f"hidden_states = {block}(hidden_states, {given})")
        self.through_block()

    def turn(self) -> str | None:
        """What runs one turn: a method, or a function nested in the forward; None if the loop itself does."""
        if self.chooser.number(0, 4):
            return None
        method, both = self.chooser.choose((True, False)), self.chooser.choose((True, False))
        both = both and (method or not self.chooser.number(0, 3))  # a nested function that returns both is refused
        self.kinds.add(f"turn: {'method' if method else 'function'}{', both' if both else ''}")
        name = self.new("turn") + ("_both" if both else "")
        body = ["x = block(x, c)", f"return x, {self.chooser.choose(('c * 0.5 + 1', 'c'))}" if both else "return x"]
        if not both and self.chooser.choose((True, False)):
            body = ["return block(x, c)"]
        if method and not self.chooser.number(0, 2):  # of a function, the way through that is not followed
            body = ["c = c * 0.5", *body]
        if method:
            self.helpers += ["", f"    def {name}(self, block, x, c):", *(f"        {line}" for line in body)]
            return f"self.{name}"
        self.write(f"def {name}(block, x, c):", *(f"    {line}" for line in body))
        return name

    def in_helper(self, blocks: str) -> None:
        """The loop stands in a method that returns the stream and a condition."""
        lines = [f"def run_{blocks}(self, hidden_states, temb, amount=2):"]
        if blocks != "blocks" and not self.chooser.number(0, 3):  # so it is no method that could be written out
            lines += ["    if temb is None:", "        return hidden_states, temb"]
        lines += [f"    for block in self.{blocks}:", "        hidden_states = block(hidden_states, temb)"]
        if self.chooser.choose((False, True)):
            lines.append("        temb = temb * amount + 1")
        lines.append(f"    return hidden_states, {self.chooser.choose(('temb', 'temb * 0.5'))}")
        self.helpers += ["", *(f"    {line}" for line in lines)]
        given, name = self.any_condition(), self.target("condition")
        amount = self.chooser.choose(("", f", {self.number()}"))
        self.write(f"hidden_states, {name} = self.run_{blocks}(hidden_states, {given}{amount})")
        self.bind(name, "condition", given, self.memory_of(given))
        self.through_block()
