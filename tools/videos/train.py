"""Training of the transformer by flow matching."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from diffusers import WanTransformer3DModel
from torch import Tensor
from torch.nn.functional import mse_loss

from teaspec.demo.videos.pipeline import SHIFT
from teaspec.demo.videos.pixels import CHANNELS, to_latents
from teaspec.demo.videos.prompts import WIDTH, Prompts
from tools.training import Progress, Schedule
from tools.training import train as train_model
from tools.videos.data import Videos

CONFIG = {
    "patch_size": (1, 2, 2),
    "num_attention_heads": 4,
    "attention_head_dim": 32,
    "in_channels": CHANNELS,
    "out_channels": CHANNELS,
    "text_dim": WIDTH,
    "ffn_dim": 512,
    "num_layers": 6,
    "rope_max_seq_len": 16,
}

SCHEDULE = Schedule(steps=6000, batch=16, every=1000)


def train(videos: Videos, prompts: Prompts, schedule: Schedule) -> Iterator[Progress[WanTransformer3DModel]]:
    """Trains, and yields the averaged model from time to time, at the end in any case."""
    torch.manual_seed(schedule.seed)
    generator = torch.Generator().manual_seed(schedule.seed)
    model = WanTransformer3DModel(**CONFIG)
    return train_model(model, lambda: _loss(model, videos, prompts, schedule, generator), schedule)


def _loss(
    model: torch.nn.Module, videos: Videos, prompts: Prompts, schedule: Schedule, generator: torch.Generator
) -> Tensor:
    """The error of the predicted velocity, noise minus data, between noise and data."""
    real, digits, motions = videos.batch(schedule.batch, generator)
    told = torch.rand(len(real), generator=generator) >= schedule.dropped
    data = to_latents(real)
    noise = torch.randn(data.shape, generator=generator)
    # Evenly over the steps of the sampler, whose noise levels are shifted in the same way.
    even = torch.rand(len(data), generator=generator)
    times = SHIFT * even / (1 + (SHIFT - 1) * even)
    velocity: Tensor = model(
        hidden_states=torch.lerp(data, noise, times[:, None, None, None, None]),
        timestep=1000 * times,
        encoder_hidden_states=prompts.embed(digits, motions) * told[:, None, None],
        return_dict=False,
    )[0]
    return mse_loss(velocity, noise - data)
