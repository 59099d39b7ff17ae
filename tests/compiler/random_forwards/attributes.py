"""What a forward leaves on its model, and reads there."""

from __future__ import annotations

from tests.compiler.random_forwards.expressions import Expressions

NAMES = ("self.note", "self.other_note")


class Attributes(Expressions):
    """Writes attributes and reads of them. What the blocks store is refused."""

    def write_note(self) -> None:
        variable = self.some("tensor", "condition", "view")
        if variable is None:
            return
        name = self.chooser.choose(NAMES)
        form, shares = self.chooser.choose((("{0}", True), ("{0} * 0.5", False), ("{0}[:1]", True)))
        self.write(f"{name} = {form.format(variable.name)}")
        self.bind(name, "attribute", variable.name, variable.memory if shares else None)

    def write_recall(self) -> None:
        variable = self.some("attribute")
        if variable is None:
            return
        text = f"hidden_states * (1 + {variable.name}.mean())"
        if self.chooser.choose((True, False)):
            self.write(f"hidden_states = {text}")
            self.bind("hidden_states", "tensor", text)
        elif self.usable("condition"):
            name, text = self.target("condition"), f"{self.any_condition()} + {variable.name}.mean()"
            self.write(f"{name} = {text}")
            self.bind(name, "condition", text)
