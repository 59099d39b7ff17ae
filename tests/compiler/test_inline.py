"""inline: which helper methods are written out in the forward, and under which names."""

from __future__ import annotations

import ast
import functools

import torch
from torch import nn

from teaspec.compiler.passes.inline import inline
from teaspec.compiler.passes.resolve import resolve
from tests.compiler.models import toy_spec
from tests.toys.parts import SingleModel


def forward_after(model: type[nn.Module]) -> list[str]:
    spec = toy_spec(model)
    forward = inline(spec, resolve(spec, model())).model.forward
    return [ast.unparse(statement).split("\n")[0] for statement in forward.node.body]


class Clashing(SingleModel):
    def _run(self, states, emb, image, scale=2):
        total = emb
        for block in self.transformer_blocks:
            states = block(states, emb) * scale
            total = total + 1
        return states, image, total

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        total = self.x_embedder(hidden_states)
        hidden_states, self.seen, self.block = self._run(total + 1, temb, hidden_states)
        return self.norm_out(hidden_states, temb) + total


def test_names_that_clash_are_new_and_arguments_are_evaluated_first():
    assert forward_after(Clashing)[2:] == [
        "states = total + 1",
        "scale = 2",
        "total_1 = temb",
        "for block in self.transformer_blocks:",
        "hidden_states, self.seen, self.block = (states, hidden_states, total_1)",
        "return self.norm_out(hidden_states, temb) + total",
    ]


def test_what_is_written_out_keeps_its_own_lines():
    spec = toy_spec(Clashing)
    source = resolve(spec, Clashing())
    helper, forward = source.model.methods["_run"].node, inline(spec, source).model.forward.node
    assert [s.lineno for s in forward.body[4:6]] == [s.lineno for s in helper.body[:2]]
    assert source.model.forward.node.body != forward.body, "the tree that was read is left as it was"


def _same(function):
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return function(*args, **kwargs)

    return wrapper


states_of_the_module = 2.0


class Left(SingleModel):
    """Every helper is left a call, each for a reason of its own."""

    @_same
    def _decorated(self, states, temb):
        for block in self.transformer_blocks:
            states = block(states, temb)
        return states

    def _two_returns(self, states, temb):
        if len(self.transformer_blocks) == 1:
            return states
        for block in self.transformer_blocks:
            states = block(states, temb)
        return states

    def _starred(self, *args):
        states, temb = args
        for block in self.transformer_blocks:
            states = block(states, temb)
        return states

    def _with_lambda(self, states, temb):
        call = lambda block: block(states, temb)  # noqa: E731
        for block in self.transformer_blocks:
            states = call(block)
        return states

    def _looks_around(self, states, temb):
        for block in self.transformer_blocks:
            states = block(states, locals()["temb"])
        return states

    def _with_super(self, states, temb):
        super().train(self.training)
        for block in self.transformer_blocks:
            states = block(states, temb)
        return states

    def _reads_a_global(self, states, temb):
        for block in self.transformer_blocks:
            states = block(states, temb) * states_of_the_module
        return states

    def _recursive(self, states, temb, again=False):
        for block in self.transformer_blocks:
            states = block(states, temb)
        return self._recursive(states, temb, False) if again else states

    def _default_that_is_no_constant(self, states, temb, extra=torch.zeros(1)):  # noqa: B008
        for block in self.transformer_blocks:
            states = block(states, temb) + extra
        return states

    def _binds_itself(self, states, temb):
        for block in self.transformer_blocks:
            states = block(states, temb)
        self = None
        return states

    def _imports(self, states, temb):
        import math as x

        for block in self.transformer_blocks:
            states = block(states, temb * x.pi)
        return states

    def _without_a_loop(self, states, temb):
        return states + temb

    def _fine(self, states, temb):
        for block in self.transformer_blocks:
            states = block(states, temb)
        return states

    def forward(self, hidden_states, timestep):
        states_of_the_module = self.time_embed(timestep)
        x = self.x_embedder(hidden_states)
        x = self._decorated(x, states_of_the_module)
        x = self._two_returns(x, states_of_the_module)
        x = self._starred(x, states_of_the_module)
        x = self._with_lambda(x, states_of_the_module)
        x = self._looks_around(x, states_of_the_module)
        x = self._with_super(x, states_of_the_module)
        x = self._reads_a_global(x, states_of_the_module)
        x = self._recursive(x, states_of_the_module)
        x = self._default_that_is_no_constant(x, states_of_the_module)
        x = self._binds_itself(x, states_of_the_module)
        x = self._imports(x, states_of_the_module)
        x = self._without_a_loop(x, states_of_the_module)
        x = self._fine(x, *[states_of_the_module])
        x = self._fine(x, **{"temb": states_of_the_module})
        x = self._fine(x, states_of_the_module) + 1
        return self.proj_out(x)


def test_what_might_mean_something_else_stays_a_call():
    spec = toy_spec(Left)
    before = [ast.unparse(statement) for statement in resolve(spec, Left()).model.forward.node.body]
    assert forward_after(Left) == before


class Inherits(Left):
    def _private(self, states, temb):
        for block in self.transformer_blocks:
            states = block(states, temb)
        return self.__scaled(states)

    def __scaled(self, states):
        return states * 2


class InheritsMore(Inherits):
    def forward(self, hidden_states, timestep):
        hidden_states = self._private(hidden_states, timestep)
        hidden_states = self._fine(hidden_states, timestep)
        return super()._fine(hidden_states, timestep)


def test_a_helper_of_another_class_is_written_out_unless_it_has_private_names():
    statements = forward_after(InheritsMore)
    assert statements[0] == "hidden_states = self._private(hidden_states, timestep)"
    assert statements[1] == "for block in self.transformer_blocks:"
    assert statements[2] == "for block_1 in self.transformer_blocks:"
    assert statements[3] == "return hidden_states"
