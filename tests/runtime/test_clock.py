"""What a pipeline's scheduler tells: where a generation begins, which step it is, how many there are.

Each test names the rule without which it fails, the mutation; tests/runtime/truth has those that were tried by machine.
"""

from __future__ import annotations

import copy
import inspect
import pickle
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    FlowMatchEulerDiscreteScheduler,
    FlowMatchHeunDiscreteScheduler,
    HeunDiscreteScheduler,
    KDPM2DiscreteScheduler,
    PNDMScheduler,
    UniPCMultistepScheduler,
)

import teaspec
from teaspec import TeaCacheHook, find_teacache_hook
from tests.runtime.driving import IDENTITY, choices, latents, reasons, signal
from tests.runtime.models import WIDTH, SingleStream, extract_single

SCHEDULERS = (
    *(DDIMScheduler, DPMSolverMultistepScheduler, FlowMatchEulerDiscreteScheduler, FlowMatchHeunDiscreteScheduler),
    *(HeunDiscreteScheduler, KDPM2DiscreteScheduler, PNDMScheduler, UniPCMultistepScheduler),
)


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


class Pipe:
    """As little of a pipeline as there can be: it holds things and runs a loop."""

    def __init__(self, scheduler: Any = None, **others: Any) -> None:
        self.transformer = SingleStream()
        self.scheduler = FlowMatchEulerDiscreteScheduler() if scheduler is None else scheduler
        vars(self).update(others)

    @property
    def hook(self) -> TeaCacheHook:
        hook = find_teacache_hook(self.transformer)
        assert hook is not None
        return hook

    def enable(self, **settings: Any) -> None:
        teaspec.register_extractor("SingleStream", extract_single)
        teaspec.enable(self, rel_l1_thresh=1e9, coefficients=IDENTITY, **settings)

    def run(self, steps: int = 4, skipped: int = 0, stop: int | None = None, times: Any = None) -> list[str]:
        """One generation, as pipelines make it; returns why its calls were decided."""
        self.scheduler.set_timesteps(steps)
        timesteps = self.scheduler.timesteps[skipped * self.scheduler.order :]
        if skipped and hasattr(self.scheduler, "set_begin_index"):
            self.scheduler.set_begin_index(skipped * self.scheduler.order)
        sample, found = latents(), list[str]()
        for number, timestep in enumerate(timesteps):
            if number == stop:
                return found
            output = self.transformer(sample, signal(1.0), timestep if times is None else times(number))
            sample = self.scheduler.step(output, timestep, sample).prev_sample
            found.append(self.hook.decisions[-1].reason)
        return found


@pytest.mark.parametrize("scheduler", SCHEDULERS)
@pytest.mark.parametrize("skipped", [0, 3])
def test_the_last_steps_that_run_are_the_last_ones(scheduler: Any, skipped: int) -> None:
    """At strength 1 and below, with solvers that are called once a step and twice.

    Mutation: `Run.total` is what is listed; at a strength below 1 neither cool-down nor last step comes.
    """
    pipe = Pipe(scheduler())
    pipe.enable(cooldown_steps=2, num_inference_steps=99)
    for _ in range(2):
        found = pipe.run(8, skipped)
        assert found[-2:] == ["cool-down", "cool-down"]
        assert found.count("cool-down") == 2
        assert found[0] == "first call"


def test_set_timesteps_begins_a_generation() -> None:
    """One that was given up is followed by one further along, about the same image.

    Mutation: `begin` tells the hooks nothing; the first call of the second generation is reused.
    """
    pipe = Pipe()
    pipe.enable()
    assert pipe.run(8, stop=3) == ["first call", "distance", "distance"]
    assert pipe.run(8, skipped=4)[0] == "first call"


def test_timesteps_that_turn_back_or_stay_are_steps_of_one_generation() -> None:
    """Mutation: `place` asks the timesteps although a scheduler tells."""
    pipe = Pipe()
    pipe.enable()
    assert pipe.run(5, times=lambda number: (5.0, 5.0, 3.0, 9.0, 9.0)[number])[1:-1] == ["distance"] * 3
    assert pipe.hook.counts["#0"].reused == 3


def test_calls_between_two_steps_are_passes_windows_or_stages() -> None:
    """Mutation: `end` ends a step at each call; the second of two calls takes the residual of the first."""
    pipe = Pipe()
    pipe.enable()
    pipe.scheduler.set_timesteps(3)
    for number, timestep in enumerate(pipe.scheduler.timesteps):
        for stage in (0.0, 5.0):
            pipe.transformer(latents(number), signal(1.0), timestep - stage)
        pipe.scheduler.step(latents(), timestep, latents())
    assert [one.branch for one in pipe.hook.decisions] == ["#0", "#1"] * 3
    assert reasons(pipe.hook) == ["first call"] * 2 + ["distance"] * 2 + ["last step"] * 2


def test_two_schedulers_of_one_step_end_it_once() -> None:
    """Sound beside a video. Mutation: a step ends although no transformer was called in it."""
    pipe = Pipe(audio_scheduler=FlowMatchEulerDiscreteScheduler())
    pipe.enable()
    for scheduler in (pipe.audio_scheduler, pipe.scheduler):
        scheduler.set_timesteps(4)
    for timestep in pipe.scheduler.timesteps:
        pipe.transformer(latents(), signal(1.0), timestep)
        for scheduler in (pipe.scheduler, pipe.audio_scheduler):
            scheduler.step(latents(), timestep, latents())
    assert reasons(pipe.hook) == ["first call", "distance", "distance", "last step"]


def test_a_scheduler_that_is_copied_tells_nothing() -> None:
    """Mutation: `_Followed` has no `__deepcopy__`; steps of the copy are steps of the original, and run on it."""
    pipe = Pipe()
    pipe.enable()
    twin = copy.deepcopy(pipe.scheduler)
    assert (twin.step.__self__, twin.set_timesteps.__self__) == (twin, twin)
    pipe.scheduler.set_timesteps(4)
    twin.set_timesteps(9)
    assert len(pipe.scheduler.timesteps) == 4
    for timestep in pipe.scheduler.timesteps:
        pipe.transformer(latents(), signal(1.0), timestep)
        twin.step(latents(), twin.timesteps[0], latents())
        pipe.scheduler.step(latents(), timestep, latents())
    assert reasons(pipe.hook)[-1] == "last step"
    loaded = pickle.loads(pickle.dumps(pipe.scheduler))
    assert loaded.step.__self__ is loaded


def test_a_scheduler_that_is_exchanged_is_followed_from_its_first_call_on() -> None:
    """Mutation: `attend` looks at the schedulers once."""
    pipe = Pipe()
    pipe.enable()
    pipe.run(4, stop=2)
    old, pipe.scheduler = pipe.scheduler, FlowMatchHeunDiscreteScheduler()
    found = pipe.run(4)
    assert (found[0], found[-1], len(found)) == ("first call", "last step", 7)
    assert not {"step", "set_timesteps"} & set(vars(old))
    assert {"step", "set_timesteps"} <= set(vars(pipe.scheduler))


def test_a_scheduler_without_steps_is_not_trusted() -> None:
    """Somebody else's loop, on a transformer of a pipeline that was given up.

    Mutation: `STAGES` is without end; each call is a further stage of one step, and nothing is ever reused.
    """
    pipe = Pipe()
    pipe.enable()
    pipe.run(4, stop=2)
    for step in range(12):
        pipe.transformer(latents(), signal(1.0), torch.tensor([50.0 - step]))
    assert choices(pipe.hook)[-5:] == ["reuse"] * 5
    assert pipe.run(4)[-1] == "last step"


def test_what_is_cached_goes_with_the_last_step() -> None:
    """Also where a pipeline makes no reset at its end. Mutation: `end` does not see that it is over."""
    pipe = Pipe()
    pipe.enable()
    pipe.run(4)
    assert pipe.hook.sessions.current().bytes_held == 0
    assert len(pipe.hook.decisions) == 4  # the record stays until the reset
    pipe.transformer._reset_stateful_cache()
    assert len(pipe.hook.last_generation.decisions) == 4


def test_sessions_have_runs_of_their_own() -> None:
    """Mutation: the runs of a clock have no key."""
    pipe = Pipe(DDIMScheduler())
    pipe.enable()
    found: dict[str, list[str]] = {"a": [], "b": []}
    for key in found:
        with teaspec.session(key):
            pipe.scheduler.set_timesteps(4)
    for number, timestep in enumerate(pipe.scheduler.timesteps):
        for key, reasons_ in found.items():
            if key == "b" and number >= 3:
                continue
            with teaspec.session(key):
                pipe.transformer(latents(), signal(1.0), timestep)
                pipe.scheduler.step(latents(), timestep, latents())
                reasons_.append(pipe.hook.decisions[-1].reason)
    assert found == {
        "a": ["first call", "distance", "distance", "last step"],
        "b": ["first call", "distance", "distance"],
    }


def test_all_comes_off_without_a_trace() -> None:
    """Mutation: `leave` detaches nothing."""
    pipe = Pipe()
    before = {name: set(vars(one)) for name, one in vars(pipe).items()}
    names = set(vars(pipe))
    pipe.enable()
    assert inspect.signature(pipe.scheduler.step) == inspect.signature(FlowMatchEulerDiscreteScheduler().step)
    assert "mu" in inspect.signature(pipe.scheduler.set_timesteps).parameters
    pipe.run(4)
    fresh = FlowMatchEulerDiscreteScheduler()
    fresh.set_timesteps(4)
    fresh.step(latents(), fresh.timesteps[0], latents())
    teaspec.disable(pipe)
    assert set(vars(pipe)) == names
    assert set(vars(pipe.transformer)) == before["transformer"]
    assert set(vars(pipe.scheduler)) == set(vars(fresh))


def test_what_others_put_around_a_scheduler_stays() -> None:
    pipe = Pipe()
    pipe.enable()
    followed, calls = pipe.scheduler.step, []

    def around(*args: Any, **kwargs: Any) -> Any:
        calls.append(args)
        return followed(*args, **kwargs)

    pipe.scheduler.step = around
    assert pipe.run(4)[-1] == "last step"
    teaspec.disable(pipe)
    assert pipe.scheduler.step is around
    pipe.scheduler.set_timesteps(2)
    pipe.scheduler.step(latents(), pipe.scheduler.timesteps[0], latents())
    assert len(calls) == 5


def test_two_pipelines_may_share_a_scheduler() -> None:
    one = Pipe()
    other = Pipe(one.scheduler)
    for pipe in (one, other):
        pipe.enable()
    assert one.run(4)[-1] == other.run(4)[-1] == "last step"
    teaspec.disable(one)
    assert other.run(4)[-1] == "last step"
    teaspec.disable(other)
    assert not {"step", "set_timesteps"} & set(vars(one.scheduler))


def test_a_pipeline_without_a_scheduler_works_as_a_transformer_does() -> None:
    pipe = Pipe()
    del pipe.scheduler
    pipe.enable()
    for step in range(3):
        pipe.transformer(latents(), signal(1.0), torch.tensor([9.0 - step]))
    assert choices(pipe.hook) == ["compute", "reuse", "reuse"]
    holder = SimpleNamespace(transformer=SingleStream())
    teaspec.enable(holder, coefficients=IDENTITY)
    teaspec.disable(holder)


def test_a_class_without_the_mixin_is_reset_at_the_end_of_a_call() -> None:
    """Mutation: `apply_hook` does not set the method that pipelines call."""

    class Plain(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed, self.head = torch.nn.Linear(WIDTH, WIDTH), torch.nn.Linear(WIDTH, WIDTH)
            self.blocks = torch.nn.ModuleList(SingleStream().blocks)

        def forward(self, hidden_states: Any, signal: Any, timestep: Any = None) -> Any: ...

    module = Plain().eval()
    teaspec.apply_teacache_hook(module, teaspec.TeaCacheConfig(1e9, IDENTITY), extractor=extract_single)
    hook = find_teacache_hook(module)
    assert hook is not None
    module(latents(), signal(1.0), 1.0)
    assert hook.sessions.current().bytes_held > 0
    twin = copy.deepcopy(module)
    module._reset_stateful_cache()
    assert hook.sessions.current().bytes_held == 0
    assert hook.last_generation is not None
    held = find_teacache_hook(twin).sessions.current()
    assert held.bytes_held > 0
    twin._reset_stateful_cache()  # its own
    assert held.bytes_held == 0
    teaspec.remove_teacache_hook(module)
    assert not hasattr(module, "_reset_stateful_cache")
