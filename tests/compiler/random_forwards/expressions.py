"""Random expressions, made of the variables at one place."""

from __future__ import annotations

from tests.compiler.random_forwards.scope import CONDITIONS, Memory, Scope


class Expressions(Scope):
    """Writes expressions."""

    def number(self) -> str:
        forms = [str(self.chooser.number(1, 5)), "(scale or 3)"]
        # What the postlude would have to make again of the shape that the blocks return is refused.
        forms += ["hidden_states.shape[1]"] if not self.in_blocks or not self.chooser.number(0, 11) else []
        forms += [variable.name for variable in self.usable("number")]
        forms += [f"len({variable.name})" for variable in self.usable("list", "dict")]
        forms += [f"(sum({variable.name}) % 5 + 1)" for variable in self.usable("list")]
        form = self.chooser.choose(forms)
        return form if self.chooser.number(0, 2) else f"({form} + {self.chooser.choose(forms)}) % 7"

    def condition(self) -> str:
        """An expression that is made of conditions."""
        first, second = self.any_condition(), self.any_condition()
        forms = (
            f"{first} * 0.5 + 1",
            f"{first} + {second}",
            f"{first} * {self.number() if not self.chooser.number(0, 3) else self.chooser.number(2, 5)}",
            f"self.mix({first})",
            f"blend({first}, {second})",
            f"{first} if {self.chooser.choose(CONDITIONS)} else {second} * 2",
        )
        return self.chooser.choose(forms)

    def tensor(self) -> tuple[str, Memory | None]:
        """An expression, and whose memory it gives, None if it is new."""
        first = self.chooser.choose(self.usable("tensor"))
        second = self.chooser.choose(self.usable("tensor", "view"))
        form = self.chooser.number(0, 6)
        if form == 0:
            return f"{first.name} * ({self.number()})", None
        if form == 1:
            return f"{first.name} + {second.name}", None
        if form == 2:
            return f"self.{self.chooser.choose(('extra', 'other'))}({first.name})", None
        if form == 3:
            return f"blend({first.name}, {second.name}, {self.number()})", None
        if form == 4:
            return f"{first.name}.flip(1)", None
        if form == 5:
            condition = self.chooser.choose(CONDITIONS)
            return f"{first.name} if {condition} else {first.name} * 2", first.memory
        return f"torch.cat([{first.name}, {first.name}], dim=1)[:, :{first.name}.shape[1]] - {second.name}", None
