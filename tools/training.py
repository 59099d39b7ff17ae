"""Training by flow matching, whatever the model: AdamW along a cosine, a moving average of the weights."""

from __future__ import annotations

import argparse
import copy
import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter
from typing import Generic, TypeVar

import torch
from diffusers.training_utils import EMAModel
from torch import Tensor, nn

Model = TypeVar("Model", bound=nn.Module)


@dataclass(frozen=True)
class Schedule:
    """How a model is trained.

    Attributes:
        steps: Training steps.
        batch: Examples of a step.
        rate: Highest learning rate of AdamW, reached after `warmup` steps and led to zero along a cosine.
        warmup: Steps until then.
        decay: Of the moving average of the weights, which is what is kept.
        dropped: Share of the examples that the model is told nothing about, so that it can be guided.
        every: Steps between two reports.
        seed: Of weights, prompts, noise and the order of the examples.
    """

    steps: int
    batch: int
    rate: float = 1e-3
    warmup: int = 100
    decay: float = 0.998
    dropped: float = 0.1
    every: int = 500
    seed: int = 0


@dataclass(frozen=True)
class Progress(Generic[Model]):
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
    model: Model

    def text(self, schedule: Schedule) -> str:
        """Says how far the training is."""
        return f"step {self.step} of {schedule.steps}: loss {self.loss:.4f}, {self.seconds:.2f} s a step"


def arguments(name: str, folder: Path, schedule: Schedule) -> tuple[Path, Schedule]:
    """Reads the command line of `python -m tools.NAME [FOLDER]`: where the weights go, and how they are trained.

    Args:
        name: What is trained.
        folder: The default of the folder.
        schedule: What the command line does not change.
    """
    parser = argparse.ArgumentParser(prog=f"python -m tools.{name}", description=f"Trains the model of {name} anew.")
    parser.add_argument("folder", type=Path, nargs="?", default=folder, help="where the weights go")
    parser.add_argument("--steps", type=int, default=schedule.steps, help="training steps")
    parser.add_argument("--seed", type=int, default=schedule.seed)
    given = parser.parse_args()
    return given.folder, replace(schedule, steps=given.steps, seed=given.seed)


def train(model: Model, loss: Callable[[], Tensor], schedule: Schedule) -> Iterator[Progress[Model]]:
    """Trains, and yields the averaged model from time to time, at the end in any case.

    Args:
        model: What is trained, in place.
        loss: The loss of the next examples.
        schedule: How.
    """
    parameters = list(model.train().parameters())
    average = EMAModel(parameters, decay=schedule.decay, use_ema_warmup=True, inv_gamma=1.0, power=0.9)
    optimizer = torch.optim.AdamW(parameters, lr=schedule.rate, betas=(0.9, 0.99), weight_decay=0.01, fused=True)
    rates = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _share_of_rate(step, schedule))
    losses: list[float] = []
    started = perf_counter()
    for step in range(1, schedule.steps + 1):
        error = loss()
        optimizer.zero_grad()
        error.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        rates.step()
        average.step(parameters)
        losses.append(error.item())
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
