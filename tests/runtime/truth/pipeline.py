"""Denoises as pipelines of diffusers do, one call or one step of the scheduler at a time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch

import teaspec
from tests.runtime.truth.calls import LAYERS, Place, call, image, moment, named, retried
from tests.runtime.truth.plans import KEYS, Generation
from tests.runtime.truth.promises import Opening
from tests.runtime.truth.toy import BrokenError
from tests.runtime.truth.world import User, World

TOP, APART = 1000.0, 20.0
"""Where timesteps begin, and how far they are apart, where no scheduler lists them."""


class Denoising:
    """One call of a pipeline.

    Attributes:
        world: All there is.
        plan: What is asked for.
        user: Who asks.
        number: That of the generation.
        truths: Number of each identity.
        made: Calls so far.
        complete: Whether all calls of the running step have been made.
    """

    def __init__(self, world: World, plan: Generation) -> None:
        self.world, self.plan = world, plan
        self.user: User = world.prepare(plan)
        self.number = next(world.generations)
        self.truths: dict[Any, int] = {}
        self.batches: dict[Any, torch.Tensor] = {}
        self.made = 0

    @property
    def followed(self) -> bool:
        return self.world.story.followed

    def run(self) -> Iterator[None]:
        """Generates; yields where it may be another's turn."""
        world, plan = self.world, self.plan
        world.told.append(f"{plan}")
        listed = self._begin()
        levels = [float(one) for one in listed]
        if not self.followed:
            self._tell(levels)
        yield
        try:
            for index, one in enumerate(listed):
                for place in self._places(index, levels):
                    if self.made == plan.cut and plan.breaks == "stop":
                        return
                    self._call(place, breaks=self.made == plan.cut)
                    yield
                self._end_step(one)
                yield
        except BrokenError:
            return
        if plan.resets:
            self._reset()

    def _begin(self) -> list[Any]:
        plan, pipe = self.plan, self.world.pipe
        if not self.followed:
            reached = self.user.reached if plan.rising else TOP - self.user.reached
            start = plan.start if plan.onward is None else round(reached / APART) + plan.onward
            levels = [TOP - APART * (start + plan.stride * step) for step in range(plan.steps - plan.stop)]
            if plan.order is not None:
                levels = [levels[place % len(levels)] for place in plan.order[: len(levels)]]
            return [TOP - level for level in levels] if plan.rising else levels
        with teaspec.session(KEYS[plan.session]):
            pipe.scheduler = self.world.scheduler(plan.scheduler, plan.exchanged)
            pipe.scheduler.set_timesteps(plan.steps)
            order = getattr(pipe.scheduler, "order", 1)
            if plan.begin_index and hasattr(pipe.scheduler, "set_begin_index"):
                pipe.scheduler.set_begin_index(plan.start * order)
            listed = list(pipe.scheduler.timesteps)[plan.start * order :]
        if plan.order is not None:
            listed = [listed[place % len(listed)] for place in plan.order[: len(listed)]]
        return listed[: len(listed) - plan.stop] or listed[:1]

    def _tell(self, levels: list[float]) -> None:
        """Resets where nobody would notice that a generation begins."""
        plan = self.plan
        passes = {one for index in range(len(levels)) for one in plan.passes_of(index)}
        names = {one.called for one in passes} if plan.naming in ("context", "index", "branch") else {plan.naming}
        self.opening = Opening(
            level=levels[0],
            indexed=self._is_indexed,
            first=self._conditioning(plan.passes_of(0)[0]),
            renewed=plan.prompt in ("new", "equal") or plan.keeping == "anew" or plan.batched,
            names=frozenset(names),
            layouts=frozenset((len(one.rows), plan.tokens(window)) for one in passes for window in range(plan.windows)),
        )
        if not self.user.witness.promises(self.opening):
            self._reset()

    def _places(self, index: int, levels: list[float]) -> Iterator[Place]:
        level = levels[index]
        behind = levels[index + 1] if index + 1 < len(levels) else level + (APART if self.plan.rising else -APART) / 2
        for stage, window in self.plan.places():
            now = level + (behind - level) * stage / self.plan.stages
            for one in self.plan.passes_of(index):
                yield Place(index, one, stage, window, now)

    def _call(self, place: Place, breaks: bool) -> None:
        world, plan, user = self.world, self.plan, self.user
        late = plan.boundary is not None and self.followed and place.index >= plan.boundary
        module = world.pipe.transformer_2 if late else world.pipe.transformer
        with world.mode():
            arguments = {
                "hidden_states": image(user, plan, self.number, place),
                "timestep": moment(plan, place.level, len(place.of.rows)),
                "encoder_hidden_states": world.condition(user, plan, place.of.rows, self.batches),
                "guidance": world.guidance(user, plan),
                "skip_layers": LAYERS if place.of.skips else None,
            }
        truth = tuple(self._truth(place, row) for row in place.of.rows)

        def make(where: str | None) -> bool:
            return call(world, module, plan.session, truth, arguments, named(world, module, plan, place), where)

        reused = retried(world, plan, make, breaks)
        self.made += 1
        if plan.is_plain:
            world.called += 1
            world.reused += reused
        if not self.followed:
            self._witness(place)

    def _truth(self, place: Place, row: str) -> int:
        """Returns the number of an identity. Where nobody tells the steps, the stages of one are steps, too."""
        known = (row, place.of.skips, place.window, place.stage if self.followed else 0)
        if known not in self.truths:
            alike = (
                self._conditioning(place.of),
                row,
                place.window,
                place.level,
                self.user.noise,
                self.plan.tokens(place.window),
            )
            fresh = next(self.world.numbers)
            first = not self.followed and place.index == place.stage == 0
            self.truths[known] = self.user.firsts.setdefault(alike, fresh) if first else fresh
        return self.truths[known]

    def _witness(self, place: Place) -> None:
        """Takes note of what a transformer alone is shown."""
        witness, plan = self.user.witness, self.plan
        if self.made == 1 or witness.opening is not self.opening:
            witness.begin(self.opening)
            witness.held = plan.keeping == "objects"
            is_counted = plan.naming in ("none", "paired")
            witness.several = is_counted or plan.windows > 1 or plan.skip is not None or plan.order is not None
        self.user.reached = place.level
        witness.go_to(place.level)
        if place.index or place.stage:
            self.user.firsts.clear()
        witness.conditionings.add(self._conditioning(place.of))
        witness.layouts.add((len(place.of.rows), plan.tokens(place.window)))

    def _end_step(self, timestep: Any) -> None:
        plan, scheduler = self.plan, self.world.pipe.scheduler
        if not self.followed:
            self.user.witness.complete += 1
            return
        sample = torch.zeros(1, 1, 2)
        with self.world.mode(), teaspec.session(KEYS[plan.session]):
            for _ in range(plan.samples):
                scheduler.step(sample, timestep, sample)

    def _reset(self) -> None:
        self.world.told.append("reset")
        with teaspec.session(KEYS[self.plan.session]):
            for module in (self.world.pipe.transformer, self.world.pipe.transformer_2):
                if hasattr(module, "_reset_stateful_cache"):
                    module._reset_stateful_cache()
        self.user.witness.forget()
        self.user.firsts.clear()

    def _conditioning(self, of: Any) -> Any:
        numbers = tuple(self.user.prompts[row].number for row in of.rows)
        kind = {"anew": "tensor"}.get(self.plan.guidance, self.plan.guidance)
        return numbers, kind, of.skips

    @property
    def _is_indexed(self) -> bool:
        return self.plan.naming == "index" and self.world.story.mixed
