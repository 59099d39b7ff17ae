"""What the prelude changes in place, where something outside of the forward holds it by then."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from teaspec.compiler import compile_spec, load_spec
from tests.toys.parts import WIDTH, SingleModel
from tests.toys.toy import Draw, spec_text


class Holding(SingleModel):
    """Holds a tensor, and changes it then. Nobody in the forward reads it."""

    def __init__(self) -> None:
        super().__init__()
        self.extra = nn.Linear(4, WIDTH)
        self.seen: list[torch.Tensor] = []

    def forward(self, hidden_states, timestep):
        noted = self.extra(hidden_states)
        hidden_states = self.x_embedder(hidden_states)
        self.seen = [noted]
        noted.mul_(0.5)
        temb = self.time_embed(timestep)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


class Appending(Holding):
    """A list of the model's holds it."""

    def forward(self, hidden_states, timestep):
        noted = self.extra(hidden_states)
        hidden_states = self.x_embedder(hidden_states)
        self.seen.append(noted)
        noted.mul_(0.5)
        temb = self.time_embed(timestep)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


class OtherName(Holding):
    """It is held under one name, and changed under another."""

    def forward(self, hidden_states, timestep):
        noted = self.extra(hidden_states)
        hidden_states = self.x_embedder(hidden_states)
        other = +noted
        self.seen = [other]
        noted.mul_(0.5)
        temb = self.time_embed(timestep)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@pytest.mark.parametrize("build", [Holding, Appending, OtherName])
def test_a_step_that_runs_no_block_changes_it_too(build: type[Holding]) -> None:
    """The prelude alone has to leave what the forward leaves.

    Mutation: `may_be_held` always False, in split_prelude: the change sinks to where only computed steps run it.
    """
    torch.manual_seed(0)
    module = build().eval()
    call = Draw(2, 3, 1, torch.float32).single()
    extractor = compile_spec(load_spec(spec_text(f"{build.__module__}:{build.__qualname__}")), module)
    with torch.no_grad():
        module(**call.kwargs)
        expected = [one.clone() for one in module.seen]
        module.seen = []
        extractor(module, **call.kwargs)
    assert len(module.seen) == len(expected) == 1
    assert torch.equal(module.seen[0], expected[0])
