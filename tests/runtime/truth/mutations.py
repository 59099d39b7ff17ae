"""Rules of identity, each of which can be taken out of the runtime: what is left must then be seen to be wrong."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from teaspec.runtime.generation import conditioning, moments, sessions, timeline
from teaspec.runtime.generation.conditioning import Comparison, Conditioning
from teaspec.runtime.keep.overwrite import OverwriteWatch
from teaspec.runtime.pipeline.clock import PipelineClock
from teaspec.runtime.step import stepping

Mutation = Callable[[pytest.MonkeyPatch], None]

MUTATIONS: dict[str, Mutation] = {}


def mutation(mutate: Mutation) -> Mutation:
    MUTATIONS[mutate.__name__] = mutate
    return mutate


@mutation
def conditioning_is_never_compared(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Conditioning, "compare", lambda self, passed, watch: Comparison())


# That conditioning counts where a scheduler is followed shows too seldom here: test_identity.py and tests/pipelines
# have it.


@mutation
def renewed_objects_are_no_sign(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(conditioning, "STEADY", 10**9)


@mutation
def timesteps_never_turn_back(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(timeline, "turns_back", lambda last, moment, rising, so_far: False)


@mutation
def the_number_of_the_step_does_not_go_back(patch: pytest.MonkeyPatch) -> None:
    own = moments.turns_back

    def turns_back(last: Any, moment: Any, rising: Any, so_far: Any) -> bool:
        told = moment.index is not None and last.index is not None
        return not told and own(last, moment, rising, so_far)

    patch.setattr(timeline, "turns_back", turns_back)


@mutation
def calls_of_a_name_are_not_counted(patch: pytest.MonkeyPatch) -> None:
    own = timeline._title
    patch.setattr(timeline, "_title", lambda name, number, layout: own(name, 0, layout))


@mutation
def layouts_share_a_branch(patch: pytest.MonkeyPatch) -> None:
    own = timeline._title
    patch.setattr(timeline, "_title", lambda name, number, layout: own(name, number, 0))


# That names tell branches apart, and that the step behind an unsure one has to have its calls, shows too seldom here:
# a call once more within a step is doubted anyway. test_branches.py and test_timeline.py have it.


@mutation
def several_images_at_the_first_step_are_trusted(patch: pytest.MonkeyPatch) -> None:
    own = timeline._guessed
    patch.setattr(timeline, "_guessed", lambda last, call: replace(own(last, call), unsure=False))


@mutation
def the_same_number_of_calls_is_enough(patch: pytest.MonkeyPatch) -> None:
    """What branches were given at a step that nobody is sure of is forgotten."""
    patch.setattr(sessions.Session, "given_to", lambda self, branch: None)


@mutation
def a_name_called_again_begins_nothing(patch: pytest.MonkeyPatch) -> None:
    own = timeline._guessed
    patch.setattr(
        timeline, "_guessed", lambda last, call: own(last, replace(call, again=False, image=None, differs=False))
    )


@mutation
def rows_at_several_steps_are_one(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(moments, "_spread", lambda timestep, latents: False)


@mutation
def set_timesteps_begins_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(PipelineClock, "begin", lambda self, scheduler: None)


@mutation
def steps_of_the_scheduler_end_nothing(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(PipelineClock, "end", lambda self, scheduler, timestep: None)


@mutation
def runs_are_all_one(patch: pytest.MonkeyPatch) -> None:
    """Neither the serial of a run nor the clock itself ends a generation."""
    own = PipelineClock.begin

    def begin(self: PipelineClock, scheduler: Any) -> None:
        hooks, self._hooks = self._hooks, set()  # type: ignore[assignment]
        own(self, scheduler)
        self._hooks = hooks

    patch.setattr(PipelineClock, "begin", begin)
    told = timeline._told
    patch.setattr(
        timeline,
        "_told",
        lambda last, call, run: told(
            last if last.run is None else replace(last, run=replace(last.run, serial=run.serial)), call, run
        ),
    )


@mutation
def another_scheduler_is_not_noticed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(PipelineClock, "attend", _attend_only)


@mutation
def sessions_are_one(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sessions.Sessions, "current", lambda self: self._sessions.setdefault(None, sessions.Session(None)))
    patch.setattr(sessions.Session, "refuse_others", lambda self, caller: None)


@mutation
def sessions_share_a_run(patch: pytest.MonkeyPatch) -> None:
    from teaspec.runtime.pipeline import clock

    patch.setattr(clock, "current_key", lambda: None)


@mutation
def nothing_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(sessions.Session, "forget", lambda self, doubting=False: None)


@mutation
def a_broken_call_is_committed(patch: pytest.MonkeyPatch) -> None:
    own = stepping.Stepper.take

    def take(self: Any, session: Any, call: Any, context: Any) -> Any:
        postprocess = context.postprocess

        def lenient(*streams: Any) -> Any:
            return streams[0]

        context.postprocess = lenient
        output, step = own(self, session, call, context)
        stepping.commit(session, step)
        postprocess(output)
        return output, step

    patch.setattr(stepping.Stepper, "take", take)


@mutation
def what_was_overwritten_is_taken_as_it_is(patch: pytest.MonkeyPatch) -> None:
    learn = OverwriteWatch.learn
    patch.setattr(OverwriteWatch, "learn", lambda self, key, kept: learn(self, key, kept) or True)
    patch.setattr(
        conditioning, "_is_same_memory", lambda tensor, kept: tensor is kept.tensor or _shares(tensor, kept.tensor)
    )


def _shares(tensor: torch.Tensor, other: torch.Tensor) -> bool:
    return tensor.shape == other.shape and tensor.data_ptr() == other.data_ptr()


def _attend_only(self: PipelineClock) -> Any:
    from teaspec.runtime.pipeline import clock

    key = clock.current_key()
    self._called.add(key)
    return self._runs.get(key)
