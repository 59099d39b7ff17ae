"""Training of the transformer by flow matching."""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter

import torch
from diffusers import FluxTransformer2DModel
from diffusers.training_utils import EMAModel
from torch import Tensor
from torch.nn.functional import mse_loss

from teaspec.demo.digits.pixels import PATCH, image_ids, to_latents
from teaspec.demo.digits.prompts import NOTHING, TOKENS, WIDTH, Prompts
from tools.digits.data import Digits

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


@dataclass(frozen=True)
class Schedule:
    """How the model is trained.

    Attributes:
        steps: Training steps.
        batch: Images of a step.
        rate: Highest learning rate of AdamW, reached after `warmup` steps and led to zero along a cosine.
        warmup: Steps until then.
        decay: Of the moving average of the weights, which is what is kept.
        dropped: Share of the images that the model is not told the digit of, so that it can be guided.
        every: Steps between two reports.
        seed: Of weights, prompts, noise and the order of the images.
    """

    steps: int = 6000
    batch: int = 64
    rate: float = 1e-3
    warmup: int = 100
    decay: float = 0.998
    dropped: float = 0.1
    every: int = 500
    seed: int = 0


@dataclass(frozen=True)
class Progress:
    """The state after some steps.

    Attributes:
        step: Steps done.
        loss: Mean loss since the last report.
        seconds: Seconds of a step since the last report.
        model: The averaged weights, in evaluation mode.
    """

    step: int
    loss: float
    seconds: float
    model: FluxTransformer2DModel


def train(digits: Digits, prompts: Prompts, schedule: Schedule) -> Iterator[Progress]:
    """Trains, and yields the averaged model from time to time, at the end in any case."""
    torch.manual_seed(schedule.seed)
    generator = torch.Generator().manual_seed(schedule.seed)
    model = FluxTransformer2DModel(**CONFIG).train()
    parameters = list(model.parameters())
    average = EMAModel(parameters, decay=schedule.decay, use_ema_warmup=True, inv_gamma=1.0, power=0.9)
    optimizer = torch.optim.AdamW(parameters, lr=schedule.rate, betas=(0.9, 0.99), weight_decay=0.01, fused=True)
    rates = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _share_of_rate(step, schedule))
    losses: list[float] = []
    started = perf_counter()
    for step in range(1, schedule.steps + 1):
        loss = _loss(model, digits, prompts, schedule, generator)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        rates.step()
        average.step(parameters)
        losses.append(loss.item())
        if step % schedule.every == 0 or step == schedule.steps:
            averaged = copy.deepcopy(model).eval().requires_grad_(False)
            average.copy_to(averaged.parameters())
            seconds = (perf_counter() - started) / len(losses)
            yield Progress(step, sum(losses) / len(losses), seconds, averaged)
            losses.clear()
            started = perf_counter()


def _share_of_rate(step: int, schedule: Schedule) -> float:
    if step < schedule.warmup:
        return (step + 1) / schedule.warmup
    done = (step - schedule.warmup) / max(1, schedule.steps - schedule.warmup)
    return 0.5 + 0.5 * math.cos(math.pi * done)


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
