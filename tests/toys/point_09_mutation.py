"""Point 9: stores, mutating calls, `del`, and who sees them."""

from __future__ import annotations

import torch

from tests.toys.parts import CrossModel, SingleModel
from tests.toys.toy import Toys

TOYS = Toys()
SINGLE = ("norm_out", "proj_out", "time_embed", "transformer_blocks.0.norm1", "x_embedder")
CROSS = {"attention": "transformer_blocks.0.attn1"}


@TOYS.good(lambda draw: [draw.dual()], carried=None, **CROSS)
class SubscriptStores(CrossModel):
    """`joint[i, :n] = x` reads and changes `joint`; the text is assembled the same way, in two loops."""

    def forward(self, hidden_states, timestep, encoder_hidden_states):
        temb = self.time_embed(timestep)
        image = self.x_embedder(hidden_states)
        joint = torch.zeros_like(image)
        for i, row in enumerate(image):
            joint[i, : row.shape[0] // 2] = row[: row.shape[0] // 2]
            joint[i, row.shape[0] // 2 :] = row[row.shape[0] // 2 :] * 2
        hidden_states = joint
        projected = self.context_embedder(encoder_hidden_states)
        text = projected.new_zeros(projected.shape)
        for i in range(text.shape[0]):
            text[i] = projected[i] + i
        text[..., 0] = 1
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, text, temb)
        output = torch.empty_like(hidden_states)
        hidden_states = self.norm_out(hidden_states, temb)
        output[:] = hidden_states
        output[0, 0] += 1
        return self.proj_out(output), joint


@TOYS.good(
    lambda draw: [draw.single(), draw.single(attention_kwargs={"scale": 2.0, "keep": 1, "ip": [1.0]})],
    carried=None,
    replay=False,
    may_refuse=True,
)
class MutatingCalls(SingleModel):
    """`pop`, `update`, `setdefault` on a dictionary of the caller (SD3)."""

    def forward(self, hidden_states, timestep, attention_kwargs=None):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        scale = 1.0
        if attention_kwargs is not None and "ip" in attention_kwargs:
            ip = attention_kwargs.pop("ip")
            ip.append(2.0)
            attention_kwargs.update(ip_sum=sum(ip), ip_len=len(ip))
            scale = attention_kwargs.pop("scale", 1.0)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb) * scale
            if attention_kwargs is not None:
                attention_kwargs.setdefault("rounds", []).append(1)
        hidden_states = self.norm_out(hidden_states, temb)
        if attention_kwargs is not None:
            attention_kwargs["done"] = True
        return self.proj_out(hidden_states) * len(attention_kwargs or ())


@TOYS.good(
    lambda draw: [draw.single(), draw.single(extra={"a": 1, "b": 2})],
    reused=SINGLE,
    with_blocks=(),
    carried=None,
)
class Deletes(SingleModel):
    """`del` of locals, of items, and of a name that is bound again later."""

    def forward(self, hidden_states, timestep, extra=None):
        temb = self.time_embed(timestep)
        if extra:
            del extra["a"]
        image = self.x_embedder(hidden_states)
        del hidden_states
        hidden_states = image * len(extra or "")
        hidden_states = image + hidden_states
        del image
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        image = self.norm_out(hidden_states, temb)
        del hidden_states, block
        return self.proj_out(image), extra


@TOYS.good(
    lambda draw: [draw.single(drop=False)],
    raising=lambda draw: [draw.single(drop=True)],
    may_refuse=True,
    carried=None,
)
class DeletesMaybe(SingleModel):
    """A name that was deleted under a condition is read in the postlude: an UnboundLocalError of the forward."""

    def forward(self, hidden_states, timestep, drop=False):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        scale = 2.0
        if drop:
            del scale
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states) * scale


class Box:
    """Something with an attribute."""

    def __init__(self) -> None:
        self.value = 1.0
        self.log: list[str] = []


@TOYS.good(lambda draw: [draw.single()], carried=None, may_refuse=True)
class AttributeStores(SingleModel):
    """Attributes of a local object are stored in every part."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        box = Box()
        box.value = hidden_states.shape[1]
        late = box.value * 2
        box.value, box.log[:] = 3.0, ["prelude"]
        hidden_states = self.x_embedder(hidden_states) * box.value
        for box.index, block in enumerate(self.transformer_blocks):
            hidden_states = block(hidden_states, temb) * late
            box.log.append(str(box.index))
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states) * box.value, box.log


@TOYS.refused("carried-value-changed", marker="refused: counts on")
class CarriedObjectChanged(SingleModel):
    """The postlude changes an object that the blocks changed too: each reused step would count on."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        box = Box()
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
            box.value += 1
        hidden_states = self.norm_out(hidden_states, temb)
        box.value += 1  # refused: counts on
        return self.proj_out(hidden_states) * box.value


@TOYS.good(lambda draw: [draw.single()], carried=None, replay=False, may_refuse=True)
class ArgumentInBlocks(SingleModel):
    """The loop changes an argument in place; the postlude reads it and its alias from the prelude."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        residual = hidden_states
        first_row = residual[:, 0]
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
            first_row.add_(1.0)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states) + residual


def _fill(store: dict[str, torch.Tensor], key: str, value: torch.Tensor) -> torch.Tensor:
    store[key] = value
    return value * 2


@TOYS.good(lambda draw: [draw.dual(), draw.dual(store={})], carried=None, **CROSS)
class HelperStores(CrossModel):
    """A helper returns a value that only the blocks need and also changes its argument, which is read again."""

    def forward(self, hidden_states, timestep, encoder_hidden_states, store=None):
        temb = self.time_embed(timestep)
        store = {} if store is None else store
        text = _fill(store, "text", self.context_embedder(encoder_hidden_states))
        hidden_states = self.x_embedder(hidden_states) + store["text"].mean()
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, text, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states), sorted(store)


@TOYS.good(lambda draw: [draw.dual()], carried=None, **CROSS)
class OutArgument(CrossModel):
    """`out=` writes into a tensor of the prelude."""

    def forward(self, hidden_states, timestep, encoder_hidden_states):
        temb = self.time_embed(timestep)
        buffer = torch.zeros_like(timestep)
        offset = buffer.sum()
        torch.add(timestep, 1.0, out=buffer)
        hidden_states = self.x_embedder(hidden_states) + buffer[:, None, None]
        text = self.context_embedder(encoder_hidden_states) + offset
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, text, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@TOYS.good(lambda draw: [draw.single()], reused=SINGLE, with_blocks=())
class Mangled(SingleModel):
    """Name-mangled attributes and methods, read, written and called."""

    def __init__(self):
        super().__init__()
        self.__scale = 0.5
        self.__calls = 0

    def __scaled(self, x):
        return x * self.__scale

    def forward(self, hidden_states, timestep):
        self.__calls += 1
        temb = self.time_embed(timestep)
        hidden_states = self.__scaled(self.x_embedder(hidden_states))
        for __block in self.transformer_blocks:
            hidden_states = __block(hidden_states, temb) * self.__scale
        hidden_states = self.norm_out(hidden_states, temb)
        return self.__scaled(self.proj_out(hidden_states)) * self.__calls


@TOYS.good(lambda draw: [draw.single()], reused=SINGLE, with_blocks=(), carried={"length": False})
class ChangesHeadOutput(SingleModel):
    """The postlude writes into what the head returned; the number that is carried over shares nothing with it."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        length = (len(hidden_states) + hidden_states.shape[1]) // 2
        hidden_states = hidden_states * 2
        hidden_states = self.norm_out(hidden_states, temb)
        hidden_states[:, length:] = 0
        return self.proj_out(hidden_states)
