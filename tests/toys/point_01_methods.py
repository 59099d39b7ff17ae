"""Point 1: block loops that stand in another method than `forward`."""

from __future__ import annotations

import torch

from tests.toys.parts import CrossModel, DualModel, SingleModel
from tests.toys.toy import Call, Draw, Toys

TOYS = Toys()
SINGLE = ("norm_out", "proj_out", "time_embed", "transformer_blocks.0.norm1", "x_embedder")


@TOYS.good(
    lambda draw: [draw.dual()],
    attention="transformer_blocks.0.attn1",
    reused=SINGLE,
    with_blocks=("context_embedder",),
    free=("pos_embed",),
)
class HelperMethod(CrossModel):
    """The loop stands in a helper with names of its own (Cosmos3)."""

    def _run_decoder_stack(self, text, image, emb, rotary_emb=None):
        for decoder_layer in self.transformer_blocks:
            image = decoder_layer(image, text, emb, rotary_emb)
        return image

    def forward(self, hidden_states, timestep, encoder_hidden_states):
        rotary_emb = self.pos_embed(hidden_states)
        hidden_states = self.x_embedder(hidden_states)
        temb = self.time_embed(timestep)
        encoder_hidden_states = self.context_embedder(encoder_hidden_states)
        hidden_states = self._run_decoder_stack(encoder_hidden_states, hidden_states, temb, rotary_emb=rotary_emb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.good(
    lambda draw: [draw.dual()],
    spec={"style": "dual", "more": "streams: {hidden: gen_seq, encoder: und_seq}"},
    carried={"und_seq": True},
)
class HelperTuple(DualModel):
    """The helper returns both streams, which get other names in `forward` (Cosmos3)."""

    def _run_decoder_stack(self, und_seq, gen_seq, temb):
        for decoder_layer in self.transformer_blocks:
            und_seq, gen_seq = decoder_layer(gen_seq, und_seq, temb)
        return und_seq, gen_seq * 2

    def forward(self, hidden_states, timestep, encoder_hidden_states):
        temb = self.time_embed(timestep)
        gen_seq = self.x_embedder(hidden_states)
        und_seq = self.context_embedder(encoder_hidden_states)
        und_out, gen_out = self._run_decoder_stack(und_seq, gen_seq, temb)
        last = torch.cat([und_out, gen_out], dim=1)
        return self.proj_out(self.norm_out(last, temb))


@TOYS.good(lambda draw: [draw.single()], reused=SINGLE)
class HelperWithNorm(SingleModel):
    """The helper also applies the final norm (Cosmos3); a local of the helper has the name of a local of `forward`."""

    def _run_decoder_stack(self, hidden_states, temb):
        scale = 3
        for decoder_layer in self.transformer_blocks:
            hidden_states = decoder_layer(hidden_states, temb * scale)
        return self.norm_out(hidden_states, temb)

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        scale = 2
        hidden_states = self._run_decoder_stack(hidden_states, temb)
        return self.proj_out(hidden_states) * scale


def _far_calls(draw: Draw) -> list[Call]:
    return [draw.single(), draw.single(kv_cache={}), draw.single(kv_cache={"prefill": True})]


@TOYS.good(
    _far_calls,
    spec={"more": "forward: _forward_inference"},
    reused=None,
    carried=None,
)
class Dispatch(SingleModel):
    """`forward` dispatches; the loops stand in one of the methods that it may call (AnyFlowFAR)."""

    def _forward_train(self, hidden_states, timestep):
        return (self.proj_out(self.x_embedder(hidden_states)), timestep)

    def _forward_inference(self, hidden_states, timestep, kv_cache, return_dict=True):
        image_rotary_emb = self.pos_embed(hidden_states)
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb, image_rotary_emb)
        output = self.proj_out(self.norm_out(hidden_states, temb))
        if not return_dict:
            return (output,)
        return {"sample": output, "kv_cache": kv_cache}

    def forward(self, hidden_states, timestep, kv_cache=None, return_dict=True):
        if kv_cache is not None:
            kv_cache["seen"] = kv_cache.get("seen", 0) + 1
            if kv_cache.get("prefill"):
                return self._forward_train(hidden_states * 2, timestep)
            return self._forward_inference(hidden_states, timestep, kv_cache, return_dict=return_dict)
        return self._forward_train(hidden_states, timestep)


@TOYS.good(
    _far_calls,
    spec={"more": "forward: _forward_inference"},
    reused=None,
    carried=None,
    may_refuse=True,
)
class DispatchStarred(SingleModel):
    """The dispatch passes a dictionary with `**` (AnyFlowFAR)."""

    def _forward_inference(self, hidden_states, timestep, kv_cache=None):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        return self.proj_out(self.norm_out(hidden_states, temb)), kv_cache

    def forward(self, hidden_states, timestep, kv_cache=None):
        common = {"hidden_states": hidden_states, "timestep": timestep}
        if kv_cache is not None:
            common["kv_cache"] = kv_cache
            return self._forward_inference(**common)
        return (hidden_states,)


@TOYS.good(
    lambda draw: [draw.single()],
    spec={"more": "forward: _forward_inference"},
    reused=None,
    carried=None,
    may_refuse=True,
)
class DispatchThenMore(SingleModel):
    """`forward` works on with what the method returned."""

    def _forward_inference(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        return self.proj_out(self.norm_out(hidden_states, temb))

    def forward(self, hidden_states, timestep):
        output = self._forward_inference(hidden_states + 1, timestep)
        return output * 2
