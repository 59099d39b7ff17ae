"""One call of the toy, made as a pipeline makes it, and what has to come of it."""

from __future__ import annotations

from contextlib import ExitStack, nullcontext
from dataclasses import dataclass
from typing import Any

import torch

import teaspec
from teaspec.runtime.host.library import cache_context
from tests.runtime.truth.plans import KEYS, Generation, Pass, Rows
from tests.runtime.truth.toy import WIDTH, BrokenError, Toy
from tests.runtime.truth.world import User, World

LAYERS = [1]
"""What a pass skips."""


class ForeignError(AssertionError):
    """An output that shows somebody else's residual."""


@dataclass(frozen=True)
class Place:
    """Where a call is in its generation.

    Attributes:
        index: Number of the step, from the first that is run.
        of: Pass.
        stage: Number of its stage.
        window: Number of its window.
        level: Its timestep.
    """

    index: int
    of: Pass
    stage: int
    window: int
    level: float


def image(user: User, plan: Generation, number: int, place: Place) -> torch.Tensor:
    """Returns what is denoised: at the first step the noise, later something of this generation alone."""
    value = user.noise if place.index == 0 and place.stage == 0 else 10_000 * number + 64 * place.index + place.stage
    shape = (len(place.of.rows), plan.tokens(place.window), WIDTH)
    return torch.full(shape, 4.0 * value + place.window)


def moment(plan: Generation, level: float, rows: int) -> Any:
    """Returns the timestep as it is passed."""
    if plan.clock == "number":
        return level
    return torch.full((rows,), level) if plan.clock == "rows" else torch.tensor([level])


def named(world: World, module: Toy, plan: Generation, place: Place) -> Any:
    """Returns what a pipeline wraps around the call."""
    module.do_true_cfg = plan.naming == "paired"
    if plan.naming in ("none", "paired"):
        return nullcontext()
    if plan.naming == "branch" or not world.story.mixed:
        return teaspec.branch(place.of.called)
    numbers = {"step_index": place.index, "num_inference_steps": plan.steps} if plan.naming == "index" else {}
    return cache_context(module, place.of.called, **numbers)


def call(
    world: World, module: Toy, session: int, truth: tuple[int, ...], arguments: dict[str, Any], around: Any, breaks: Any
) -> bool:
    """Makes a call and checks that it shows its own number; returns whether it was reused.

    Raises:
        ForeignError: If it shows another one.
        BrokenError: If it was to break, and did.
    """
    before = module.computed
    with ExitStack() as stack:
        stack.enter_context(world.mode())
        stack.enter_context(teaspec.session(KEYS[session]))
        stack.enter_context(around)
        module.truth = torch.tensor([float(number) for number in truth]).reshape(-1, 1, 1)
        module.breaks = breaks
        try:
            output = module(**arguments)
        finally:
            module.breaks = None
        shown = (output - arguments["hidden_states"]).mean(dim=(1, 2)).tolist()
    reused = module.computed == before
    world.told.append(f"session {KEYS[session]}: {truth} {'reused' if reused else 'computed'}")
    if shown != [float(number) for number in truth]:
        raise ForeignError(f"{truth} shows {shown}:\n" + "\n".join(world.told))
    return reused


def retried(world: World, plan: Generation, make: Any, breaks: bool) -> bool:
    """Makes a call that may break, and is repeated then if the plan says so.

    Raises:
        BrokenError: If it broke, and is not repeated.
    """
    if not breaks or plan.breaks == "stop":
        return bool(make(None))
    try:
        make(plan.breaks)
    except BrokenError:
        world.told.append(f"broke at the {plan.breaks}")
        if not plan.repeats:
            raise
    return bool(make(None))


def rows_of(world: World, plan: Rows) -> Any:
    """Makes the calls of two requests in one batch; yields behind each."""
    user = world.users[plan.session]
    module = world.pipe.transformer
    requests = [next(world.numbers), next(world.numbers)]
    offsets = [0, plan.apart]
    prompt = next(world.numbers)
    for number in range(plan.calls):
        if number == plan.replaced:
            requests[1], offsets[1] = next(world.numbers), offsets[1] + plan.jump
        with world.mode():
            levels = [1000.0 - 20 * (plan.start + number + offset) for offset in offsets]
            arguments = {
                "hidden_states": torch.full((2, 2, WIDTH), 4.0 * requests[1]),
                "timestep": torch.tensor(levels),
                "encoder_hidden_states": torch.full((2, 2, 1), float(prompt)),
            }
        module.do_true_cfg = False
        call(world, module, plan.session, tuple(requests), arguments, nullcontext(), None)
        user.witness.forget()  # such a call leaves nothing behind
        user.firsts.clear()
        yield
