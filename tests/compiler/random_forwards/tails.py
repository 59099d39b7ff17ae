"""What is added to the stream behind the loops: a skip from before the blocks, also in place."""

from __future__ import annotations

from tests.compiler.random_forwards.expressions import Expressions

SKIPS = ("hidden_states = hidden_states + {0}", "hidden_states = {0} + hidden_states * 0.5", "hidden_states += {0}")
IN_PLACE = (
    "hidden_states.mul_(0.5)", "hidden_states.add_({0})", "hidden_states.add_({0}).mul_(2)",
    "torch.add(hidden_states, {0}, out=hidden_states)", "torch.mul(hidden_states, 0.5, out=hidden_states)",
    "torch.add({0}, other=hidden_states, out=hidden_states)", "hidden_states[:, :1] += {0}[..., :1, :]",
)  # fmt: skip


class Tails(Expressions):
    """Writes what stands behind the loops and is done again on the stream that a reused step restores."""

    def write_tail(self) -> None:
        from_before = [
            variable for variable in self.usable("tensor", "condition") if variable.name not in self.bound_in_blocks
        ]
        if not from_before:
            return
        variable = self.chooser.choose(from_before)
        value = variable.name if variable.kind == "tensor" else f"{variable.name}[:, None]"
        stream = self.variables["hidden_states"]
        if self.chooser.choose((True, False)):
            self.change(stream, variable.name)
            self.write(self.chooser.choose(IN_PLACE).format(value))
            return
        form = self.chooser.choose(SKIPS)
        if self.chooser.number(0, 3):
            self.write(form.format(value))
        else:
            self.write("if scale is not None:", f"    {form.format(value)}")
        if "+=" in form:
            self.change(stream, variable.name)
        else:
            self.bind("hidden_states", "tensor", f"hidden_states + {variable.name}")
