"""Training of the transformer by flow matching."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from diffusers import FluxTransformer2DModel
from torch import Tensor
from torch.nn.functional import mse_loss

from teaspec.demo.digits.pixels import PATCH, image_ids, to_latents
from teaspec.demo.digits.prompts import NOTHING, TOKENS, WIDTH, Prompts
from tools.digits.data import Digits
from tools.training import Progress, Schedule
from tools.training import train as train_model

CONFIG = {
    "patch_size": 1,
    "in_channels": PATCH * PATCH,
    "num_layers": 3,
    "num_single_layers": 6,
    "attention_head_dim": 32,
    "num_attention_heads": 4,
    "joint_attention_dim": WIDTH,
    "pooled_projection_dim": WIDTH,
    "axes_dims_rope": (8, 12, 12),
}

SCHEDULE = Schedule(steps=6000, batch=64)


def train(digits: Digits, prompts: Prompts, schedule: Schedule) -> Iterator[Progress[FluxTransformer2DModel]]:
    """Trains, and yields the averaged model from time to time, at the end in any case."""
    torch.manual_seed(schedule.seed)
    generator = torch.Generator().manual_seed(schedule.seed)
    model = FluxTransformer2DModel(**CONFIG)
    return train_model(model, lambda: _loss(model, digits, prompts, schedule, generator), schedule)


def _loss(
    model: torch.nn.Module, digits: Digits, prompts: Prompts, schedule: Schedule, generator: torch.Generator
) -> Tensor:
    """The error of the predicted velocity, noise minus data, between noise and data."""
    images, labels = digits.batch(schedule.batch, generator)
    labels = torch.where(torch.rand(len(labels), generator=generator) < schedule.dropped, NOTHING, labels)
    data = to_latents(images)
    noise = torch.randn(data.shape, generator=generator)
    # Logit-normal: most in the middle, where the prediction is hardest.
    times = torch.sigmoid(torch.randn(len(data), generator=generator))
    mixed = torch.lerp(data, noise, times[:, None, None])
    velocity: Tensor = model(
        hidden_states=mixed,
        encoder_hidden_states=prompts.tokens[labels],
        pooled_projections=prompts.pooled[labels],
        timestep=times,
        img_ids=image_ids(),
        txt_ids=torch.zeros(TOKENS, 3),
        return_dict=False,
    )[0]
    return mse_loss(velocity, noise - data)
