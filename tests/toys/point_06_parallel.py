"""Point 6: parallel assignments, of which one part is wanted and another may wait."""

from __future__ import annotations

from tests.toys.parts import CrossModel, DualModel, SingleModel
from tests.toys.toy import Toys

TOYS = Toys()
SINGLE = ("norm_out", "proj_out", "time_embed", "transformer_blocks.0.norm1", "x_embedder")


@TOYS.good(
    lambda draw: [draw.dual()],
    attention="transformer_blocks.0.attn1",
    reused=SINGLE,
    with_blocks=("context_embedder", "pos_embed"),
)
class ParallelEmbedding(CrossModel):
    """Both streams are embedded in one line."""

    def forward(self, hidden_states, timestep, encoder_hidden_states):
        hidden_states, text = self.x_embedder(hidden_states), self.context_embedder(encoder_hidden_states)
        temb, rotary_emb = self.time_embed(timestep), self.pos_embed(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, text, temb, rotary_emb)
        return self.proj_out(self.norm_out(hidden_states, temb))


@TOYS.good(
    lambda draw: [draw.dual()],
    attention="transformer_blocks.0.attn1",
    reused=(*SINGLE, "context_embedder"),
    with_blocks=(),
    free=("pos_embed",),
)
class ParallelSwap(CrossModel):
    """A value reads what a part before it binds: the parts are one statement."""

    def forward(self, hidden_states, timestep, encoder_hidden_states):
        tokens, text = self.x_embedder(hidden_states), self.context_embedder(encoder_hidden_states)
        rotary_emb = self.pos_embed(hidden_states)
        hidden_states, other = text.mean(1, keepdim=True) + tokens, hidden_states.mean(-1, keepdim=True)
        temb = self.time_embed(timestep)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, text + other.mean(), temb, rotary_emb)
        return self.proj_out(self.norm_out(hidden_states, temb))


@TOYS.good(
    lambda draw: [draw.dual()],
    spec={"style": "dual"},
    reused=SINGLE,
    with_blocks=("context_embedder", "pos_embed"),
)
class ParallelInTheLoop(DualModel):
    """The loop binds both streams in one line before its block; the modulated input needs one of them."""

    def forward(self, hidden_states, timestep, encoder_hidden_states):
        hidden_states = self.x_embedder(hidden_states)
        temb = self.time_embed(timestep)
        encoder_hidden_states = self.context_embedder(encoder_hidden_states)
        rotary_emb = self.pos_embed(hidden_states)
        for block in self.transformer_blocks:
            image, text = hidden_states * 2, encoder_hidden_states + 1
            encoder_hidden_states, hidden_states = block(image, text, temb, rotary_emb)
        return self.proj_out(self.norm_out(hidden_states, temb))


@TOYS.good(lambda draw: [draw.single()], reused=(*SINGLE, "pos_embed"), with_blocks=())
class ParallelClosure(SingleModel):
    """A value calls a function that reads what a part before it binds."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        tokens = hidden_states * 2

        def width():
            return tokens.shape[-1]

        tokens, factor = self.x_embedder(tokens), width()
        hidden_states = tokens * factor + self.pos_embed(tokens)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        return self.proj_out(self.norm_out(hidden_states, temb))
