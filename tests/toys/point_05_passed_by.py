"""Point 5: what only calls read that pass by the cache crosses nowhere, and what they do is in no extractor."""

from __future__ import annotations

from tests.toys.parts import SingleModel
from tests.toys.toy import Toys

TOYS = Toys()
SINGLE = ("norm_out", "proj_out", "time_embed", "transformer_blocks.0.norm1", "x_embedder")


@TOYS.good(
    lambda draw: [draw.single(), draw.single(record=False), draw.single(record=None)],
    spec={"more": "bypass: [record = true]"},
    reused=SINGLE,
)
class Recording(SingleModel):
    """The states behind each block are returned to who asks for them (GR00T's `return_all_hidden_states`)."""

    def forward(self, hidden_states, timestep, record=False):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        states = [hidden_states]
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
            states.append(hidden_states)
        output = self.proj_out(self.norm_out(hidden_states, temb))
        if record:
            return output, states
        return output


@TOYS.good(
    lambda draw: [draw.single(), draw.single(kept=None)],
    spec={"more": "bypass: [kept]"},
    reused=SINGLE,
)
class Filling(SingleModel):
    """Blocks fill what a first pass is handed (LongCat-Video-Avatar's `return_kv`), and the head reads its size."""

    def forward(self, hidden_states, timestep, kept=None):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        size = hidden_states.shape[1]
        found = {}
        for index, block in enumerate(self.transformer_blocks):
            hidden_states = block(hidden_states, temb)
            if kept is not None:
                found[index] = (hidden_states, size)
        output = self.proj_out(self.norm_out(hidden_states, temb)) / size
        if not kept:
            return output
        else:
            return output, found


@TOYS.refused("stale-value", spec={"more": "bypass: [record = true]"}, marker="refused: unless told not to")
class RecordingByDefault(SingleModel):
    """A rule sees what a call passes, so that this passes by only where it is asked to in words."""

    def forward(self, hidden_states, timestep, record=True):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        states = [hidden_states]
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
            states.append(hidden_states)
        output = self.proj_out(self.norm_out(hidden_states, temb))
        if record:
            return output, states  # refused: unless told not to
        return output


@TOYS.refused("stale-value", spec={"more": "bypass: [record = true]"}, marker="refused: bound anew")
class RecordingAnew(SingleModel):
    """The argument is no longer what the call passed."""

    def forward(self, hidden_states, timestep, record=False):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        record = record or hidden_states.shape[1] > 1
        states = [hidden_states]
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
            states.append(hidden_states)
        output = self.proj_out(self.norm_out(hidden_states, temb))
        if record:
            return output, states  # refused: bound anew
        return output


@TOYS.refused("state-of-blocks", spec={"more": "bypass: [last = true]"}, marker="refused: the last by default")
class LeavingByDefault(SingleModel):
    """What only such calls leave on the model is no reason to refuse it, but others leave it, too."""

    def forward(self, hidden_states, timestep, last=True):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
            if last:
                self.kept = hidden_states  # refused: the last by default
        return self.proj_out(self.norm_out(hidden_states, temb))
