"""A transformer, the pipeline around it, and what its users hold: prompts, noise, and who they are."""

from __future__ import annotations

import itertools
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import torch
from diffusers import (
    DDIMScheduler,
    FlowMatchEulerDiscreteScheduler,
    FlowMatchHeunDiscreteScheduler,
    UniPCMultistepScheduler,
)

import teaspec
from teaspec import TeaCacheConfig, apply_teacache_hook, register_extractor
from tests.runtime.truth.plans import KEYS, Generation, Story
from tests.runtime.truth.promises import Witness
from tests.runtime.truth.toy import MixedToy, Toy, extract_toy

SCHEDULERS: dict[str, Any] = {
    "euler": FlowMatchEulerDiscreteScheduler,
    "heun": FlowMatchHeunDiscreteScheduler,
    "ddim": DDIMScheduler,
    "unipc": UniPCMultistepScheduler,
}

SETTINGS: dict[str, Any] = {
    "rel_l1_thresh": 1e9,
    "coefficients": [0.0, 0.0, 0.0, 1.0, 0.0],
    "warmup_steps": 0,
    "cooldown_steps": 0,
}
"""Whatever may be reused is."""

PASSES = ("cond", "uncond", "third")


class Pipeline:
    """What `teaspec.enable` needs of one."""

    def __init__(self, transformer: Toy, transformer_2: Toy, scheduler: Any) -> None:
        self.transformer = transformer
        self.transformer_2 = transformer_2
        self.scheduler = scheduler


@dataclass
class Prompt:
    """A prompt: its number is all there is in it."""

    number: int
    tensor: torch.Tensor


@dataclass
class User:
    """Who generates in a session.

    Attributes:
        prompts: By pass.
        noise: The number of the noise.
        reached: The last timestep that it was at, where no scheduler is followed.
        guidance: A tensor that stays.
        buffers: What prompts are written into, by their shape.
        batches: What was put together of several prompts for one generation.
        witness: What the calls so far show.
        firsts: Numbers of calls of generations that have made their first step alone, by what they were given. What
            two of them were given alike they compute alike.
    """

    prompts: dict[str, Prompt] = field(default_factory=dict)
    noise: int = 0
    reached: float = 1000.0
    guidance: torch.Tensor | None = None
    buffers: dict[torch.Size, torch.Tensor] = field(default_factory=dict)
    witness: Witness = field(default_factory=Witness)
    firsts: dict[Any, int] = field(default_factory=dict)


class World:
    """All that a story is about.

    Attributes:
        pipe: The pipeline; nobody hooked it where it is not followed.
        users: By number of session.
        reused: Calls that were reused, and all, of plain generations.
        told: What happened, to be read where a story fails.
    """

    def __init__(self, story: Story) -> None:
        self.story = story
        make = MixedToy if story.mixed else Toy
        register_extractor(make.__name__, extract_toy)
        self.schedulers: dict[str, Any] = {}
        self.pipe = Pipeline(make(story.signal), make(story.signal), self.scheduler("ddim"))
        if story.followed:
            teaspec.enable(self.pipe, **SETTINGS)
        else:
            apply_teacache_hook(self.pipe.transformer, TeaCacheConfig(**SETTINGS), extractor=extract_toy)
        self.users = [User() for _ in KEYS]
        self.numbers = itertools.count(1)
        self.generations = itertools.count(1)
        self.threads = [ThreadPoolExecutor(1) for _ in KEYS]
        self.reused = self.called = 0
        self.told: list[str] = []

    def close(self) -> None:
        for thread in self.threads:
            thread.shutdown()

    def scheduler(self, kind: str, another: bool = False) -> Any:
        """Returns the pipeline's scheduler of a kind, or another object of that kind."""
        if another or kind not in self.schedulers:
            self.schedulers[kind] = SCHEDULERS[kind]()
        return self.schedulers[kind]

    def mode(self) -> Any:
        return torch.inference_mode() if self.story.inference else torch.no_grad()

    def prepare(self, plan: Generation) -> User:
        """Has a user take the prompts and the noise of a generation."""
        user = self.users[plan.session]
        with self.mode():
            for name in PASSES:
                known = user.prompts.get(name)
                if known is None or plan.prompt == "new" or (plan.prompt == name == "cond"):
                    user.prompts[name] = _prompt(next(self.numbers))
                elif plan.prompt == "equal":
                    user.prompts[name] = _prompt(known.number)
            if plan.noise or not user.noise:
                user.noise = next(self.numbers)
            if user.guidance is None:
                user.guidance = torch.tensor([3.5])
        return user

    def condition(self, user: User, plan: Generation, rows: tuple[str, ...], batches: dict[Any, Any]) -> torch.Tensor:
        """Returns the prompt of a call, kept as the generation keeps it."""
        made = batches.get(rows)
        if made is None:
            tensors = [user.prompts[name].tensor for name in rows]
            made = batches[rows] = tensors[0] if len(tensors) == 1 else torch.cat(tensors)
        if plan.keeping == "anew":
            return made.clone()
        if plan.keeping == "buffer":
            if made.shape not in user.buffers:
                user.buffers[made.shape] = torch.empty_like(made)
            return user.buffers[made.shape].copy_(made)
        return made

    def guidance(self, user: User, plan: Generation) -> Any:
        """Returns the guidance of a call."""
        if plan.guidance == "none":
            return None
        if plan.guidance == "number":
            return 3.5
        return user.guidance if plan.guidance == "tensor" else torch.tensor([3.5])


def _prompt(number: int) -> Prompt:
    return Prompt(number, torch.full((1, 2, 1), float(number)))
