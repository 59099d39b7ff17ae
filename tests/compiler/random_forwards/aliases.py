"""Other names for the same memory, and what is written into it through one of them."""

from __future__ import annotations

from tests.compiler.random_forwards.expressions import Expressions

OF_ANY = (
    "+{0}", "{0}[...]", "{0}.view({0}.shape)", "{0}.reshape({0}.shape)", "{0}.contiguous()", "{0}.unsqueeze(0)[0]",
    "{0}.view_as({0})", "{0}.chunk(1)[0]", "torch.squeeze({0}[None], 0)", "{0}.expand_as({0})", "{0}.to({0}.dtype)",
    "{0}.detach()", "{0}.data", "({0}, 1)[0]", "[{0}][-1]", "{{'a': {0}}}['a']", "(lambda value: value)({0})",
    "torch.positive({0})", "{0}.requires_grad_(False)",
)  # fmt: skip
OF_TENSOR = (
    "{0}[:, :4]", "{0}[:, :, 0:]", "{0}.transpose(0, 1).transpose(0, 1)", "{0}.mT.mT", "{0}.narrow(1, 0, {0}.shape[1])",
    "{0}.permute(1, 0, 2).permute(1, 0, 2)", "{0}.flatten(1).unflatten(1, (-1, 8))",
)  # fmt: skip
OF_CONDITION = ("{0}.T.T", "{0}.t().t()", "{0}[:, :8]", "{0}[:, None][:, 0]")
WRITES = (
    "{0}.mul_(0.5)", "{0} += {1}", "{0}[..., :2] = {1}", "{0}[:, 0] += {1}", "torch.add({0}, {1}, out={0})",
    "torch.relu_({0})", "torch.nn.functional.relu({0}, inplace=True)", "{0}.copy_({0} * 0.5)", "{0}.mT.mul_(0.5)",
)  # fmt: skip


class Aliases(Expressions):
    """Writes aliases and writes through them."""

    def write_shared(self) -> None:
        """Another name for a tensor or a condition, by way of an operator, a slice or a view; then perhaps a write."""
        variable = self.some("tensor", "condition")
        if variable is None:
            return
        forms = OF_ANY + (OF_TENSOR if variable.kind == "tensor" else OF_CONDITION)
        name = self.new(variable.kind) if self.chooser.number(0, 3) else self.target(variable.kind)
        self.write(f"{name} = {self.chooser.choose(forms).format(variable.name)}")
        self.bind(name, variable.kind, variable.name, variable.memory)
        # What the blocks change in place and the postlude reads is mostly refused.
        if not self.chooser.number(0, 3 if self.in_blocks else 1):
            self.write_through()

    def write_through(self) -> None:
        """Changes in place something that has another name, too."""
        every = self.usable("tensor", "condition")
        shared = [one for one in every if any(one.memory & other.memory for other in every if other is not one)]
        if not shared:
            return
        variable = self.chooser.choose(shared)
        self.change(variable)
        self.write(self.chooser.choose(WRITES).format(variable.name, self.number()))
