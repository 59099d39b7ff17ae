"""Point 7: blocks whose first norm is a function, so that the spec names the attention."""

from __future__ import annotations

from torch import nn

from tests.toys.point_07_modulation import BlockModel, ManualBlock, _plain
from tests.toys.toy import Toys

TOYS = Toys()
NAMED = {"norm": "transformer_blocks.0.attn", "more": "signal: attention"}
REUSED = tuple(name for name in _plain() if not name.endswith("norm1"))


class FunctionBlock(ManualBlock):
    """Norm, scale and shift are functions and arithmetic (LongCat-AudioDiT)."""

    def forward(self, hidden_states, temb, index=None):
        shift, scale, gate = self.modulation(temb)[:, None].chunk(3, dim=2)
        normed = nn.functional.layer_norm(hidden_states, (hidden_states.shape[-1],), eps=1e-6)
        normed = normed * (1 + scale) + shift
        if index is not None:
            return hidden_states + gate * self.attn(image_rotary_emb=None, hidden_states=normed * index)
        return hidden_states + gate * self.attn(normed)


@TOYS.good(lambda draw: [draw.single(), draw.single(index=3)], spec=NAMED, reused=REUSED, with_blocks=())
class FunctionNorm(BlockModel):
    block = FunctionBlock
