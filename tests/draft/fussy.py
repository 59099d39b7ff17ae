"""Forwards that are particular about their arguments, one for each thing that a failed call teaches."""

import torch
from torch import nn


class SharedChannels(nn.Module):
    """The config tells the channels of the latents and of what is joined to them, in sum."""

    def __init__(self, in_channels: int = 12):
        super().__init__()
        self.config = {"in_channels": in_channels}
        self.proj = nn.Linear(in_channels, 8)

    def forward(self, x, t, cond):
        _b, _n, _c = x.shape
        return self.proj(torch.cat([cond, x], dim=-1))


class TwoWidths(nn.Module):
    """Neither of two widths is known, and each is only seen beside the other."""

    def __init__(self):
        super().__init__()
        self.proj = nn.Linear(9, 8)

    def forward(self, x, t, cond):
        _b, _n, _c = x.shape
        return self.proj(torch.cat([cond, x], dim=-1))


class WideRotary(nn.Module):
    """The rotary embeddings are as wide as all heads together."""

    def __init__(self):
        super().__init__()
        self.proj = nn.Linear(6, 24)

    def forward(self, x, t, rotary_emb):
        _b, _n, _c = x.shape
        cos, sin = rotary_emb
        query = self.proj(x)
        return query * cos + query.flip(-1) * sin


class SixSizes(nn.Module):
    """Six sizes of a picture, embedded one by one and seen as one row."""

    def __init__(self):
        super().__init__()
        self.proj, self.sizes, self.row = nn.Linear(6, 8), nn.Linear(1, 4), nn.Linear(24, 8)

    def forward(self, x, t, image_meta_size):
        _b, _n, _c = x.shape
        embedded = self.sizes(image_meta_size.reshape(-1, 1))
        embedded = embedded.view(-1, 6 * 4)
        return self.proj(x) + self.row(embedded)[:, None]


class Windows(nn.Module):
    """The grid falls into windows."""

    def __init__(self):
        super().__init__()
        self.proj = nn.Conv2d(3, 8, 1)

    def forward(self, x, t):
        _b, _c, h, w = x.shape
        if h % 8 or w % 8:
            raise ValueError(f"the grid {(h, w)} has to be divisible by 8")
        return self.proj(x)


class JoinedPositions(nn.Module):
    """The positions are those of text and latents together."""

    def __init__(self):
        super().__init__()
        self.proj, self.text, self.place = nn.Linear(6, 8), nn.Linear(5, 8), nn.Linear(3, 8)

    def forward(self, x, t, text, position_ids):
        _b, _n, _c = x.shape
        joined = torch.cat([self.text(text), self.proj(x)], dim=1)
        return joined + self.place(position_ids)


class TextPerToken(nn.Module):
    """One embedding of the text for each token."""

    def __init__(self):
        super().__init__()
        self.proj = nn.Linear(10, 8)

    def forward(self, x, t, encoder_hidden_states):
        _b, _n, _c = x.shape
        return self.proj(torch.cat((x, encoder_hidden_states), dim=2))


class LayersOfText(nn.Module):
    """The text as several layers of its encoder see it."""

    def __init__(self):
        super().__init__()
        self.proj, self.layers, self.text = nn.Linear(6, 8), nn.Linear(5, 1), nn.Linear(7, 8)

    def forward(self, x, t, text):
        _b, _n, _c = x.shape
        _rows, _length, _several, _width = text.shape
        text = self.layers(text.transpose(2, 3)).squeeze(3)
        return self.proj(x) + self.text(text).mean(1, keepdim=True)


class DescribedText(nn.Module):
    """A docstring alone tells that the text has layers."""

    def __init__(self):
        super().__init__()
        self.proj, self.text = nn.Linear(6, 8), nn.Linear(7, 8)

    def forward(self, x, t, text):
        """Takes a step.

        Args:
            x (`torch.Tensor` of shape `(batch, tokens, channels)`): The latents.
            t (`torch.Tensor`): The time.
            text (`torch.Tensor` of shape `(batch, 1 + len(layers), length, width)`): The text.
        """
        return self.proj(x) + self.text(text[:, 0]).transpose(1, 2).mean(2)[:, None]


class LosesAnAxis(nn.Module):
    """A single column is taken for no column."""

    def __init__(self):
        super().__init__()
        self.proj = nn.Conv2d(3, 8, 1)

    def forward(self, x, t):
        _b, _c, _h, _w = x.shape
        columns = self.proj(x[..., ::2]).mean(2).squeeze(-1)
        _batch, _channels, _width = columns.shape
        return columns


class Resized(nn.Module):
    """An option that calls what is not installed."""

    def __init__(self, pad: bool = True, smooth: bool = True):
        super().__init__()
        self.config = {"pad": pad, "smooth": smooth}
        self.proj = nn.Conv2d(3, 8, 1)

    def forward(self, x, t):
        _b, _c, h, w = x.shape
        if self.config["smooth"]:
            x = x + 0
        if self.pad:
            x = not_installed.resize(x, (h, w))  # noqa: F821
        return self.proj(x)

    @property
    def pad(self) -> bool:
        return self.config["pad"]


class Tables(nn.Module):
    """Positions are rows of tables, one along each axis."""

    def __init__(self):
        super().__init__()
        self.proj, self.text = nn.Linear(6, 8), nn.Linear(5, 8)
        self.table = nn.Parameter(torch.zeros(16, 8))

    def forward(self, x, t, text, visual_rope_pos, text_rope_pos):
        _b, _f, _h, _w, _c = x.shape
        places = [self.table[pos] for pos in visual_rope_pos]
        x = self.proj(x[:, :, ::2, ::2]) + places[0][:, None, None] + places[1][:, None] + places[2]
        return x + (self.text(text) + self.table[text_rope_pos]).mean(1)[:, None, None, None]


class TwoLengths(nn.Module):
    """A second sequence, whose length is an argument that may be left out where coordinates are given instead."""

    def __init__(self):
        super().__init__()
        self.proj, self.audio = nn.Linear(6, 8), nn.Linear(5, 8)

    def forward(self, x, audio_x, t, audio_coords=None, audio_num_frames: int | None = None):
        _b, _n, _c = x.shape
        if audio_coords is None:
            audio_coords = torch.arange(audio_num_frames)[None]
        audio = self.audio(audio_x) + audio_coords.view(1, -1, 1)
        return self.proj(x) + audio.mean(1, keepdim=True)


class TextOfAnotherWidth(nn.Module):
    """The first text has to be as wide as the second one is made."""

    def __init__(self):
        super().__init__()
        self.proj, self.second = nn.Linear(6, 8), nn.Linear(5, 8)

    def forward(self, x, t, text, text_2):
        _b, _n, _c = x.shape
        return self.proj(x) + torch.cat([text, self.second(text_2)], dim=1).mean(1, keepdim=True)


class AxesOfAHead(nn.Module):
    """The width of a head is told by its rotary axes alone."""

    def __init__(self, model_dim: int = 1024, axes_dims: tuple = (16, 24, 24)):
        super().__init__()
        if model_dim % sum(axes_dims) or model_dim // sum(axes_dims) < 2:
            raise ValueError("several heads are needed")
        self.proj = nn.Linear(6, model_dim)

    def forward(self, x, t):
        _b, _n, _c = x.shape
        return self.proj(x)
