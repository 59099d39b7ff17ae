"""Follows the schedulers of a pipeline: `set_timesteps` begins a generation and lists its steps, `step` ends a step.

Both are wrapped on the scheduler itself, and taken off without a trace. Pipelines hand schedulers around and exchange
them (`pipe.scheduler = ...`), so at each call of a transformer those that the pipeline has now are looked at.
"""

from __future__ import annotations

import copy
import functools
import itertools
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import replace
from typing import Any

from teaspec.runtime.contract.arguments import ArgumentFinder
from teaspec.runtime.generation.run import Run
from teaspec.runtime.generation.sessions import current_key
from teaspec.runtime.step.hook import TeaCacheHook

METHODS = ("set_timesteps", "step")

MOST_RUNS = 1024
"""So many sessions are followed; one more forgets the least recent, whose timesteps then tell."""

_serials = itertools.count()


class PipelineClock:
    """Knows how far the schedulers of a pipeline are, in each session."""

    def __init__(self, pipeline: Any) -> None:
        self._pipeline = _reference(pipeline)
        self._known: dict[str, Any] = {}
        self._size = -1
        self._hooks: weakref.WeakSet[TeaCacheHook] = weakref.WeakSet()
        self._attached: dict[int, Any] = {}
        self._runs: OrderedDict[Hashable, Run] = OrderedDict()
        self._called: set[Hashable] = set()
        # One that came without a word, and the sessions that have begun on it: others may have before that.
        self._exchanged: Any = None
        self._begun: set[Hashable] = set()
        self._lock = threading.Lock()

    def join(self, hook: TeaCacheHook) -> None:
        """Has a hook told, and attaches to the schedulers."""
        self._hooks.add(hook)
        hook.clock = self
        for scheduler in self._schedulers():
            if id(scheduler) not in self._attached:
                self._attach(scheduler)

    def leave(self, hook: Any) -> None:
        """Has a hook told no longer; the last one takes with it what was attached."""
        self._hooks.discard(hook)
        hook.clock = None
        if not self._hooks:
            for scheduler in list(self._attached.values()):
                self._detach(scheduler)
            self._runs.clear()

    def attend(self) -> Run | None:
        """Takes note of a call of a transformer.

        Returns:
            How far its run is, None where there is none.
        """
        key = current_key()
        schedulers = self._schedulers()
        for scheduler in schedulers:
            if id(scheduler) not in self._attached:  # exchanged since the last call, and its timesteps are set already
                self._attach(scheduler)
                self._lose_all()
                self._exchanged = scheduler
                self.begin(scheduler)
        if self._exchanged is not None and key not in self._begun:
            self.begin(self._exchanged)
        for scheduler in [one for one in self._attached.values() if not any(one is other for other in schedulers)]:
            self._detach(scheduler)
        with self._lock:
            run = self._runs.get(key)
            if run is None:
                return None
            if run.first is None:
                first = next((one for one in map(_begin_index, schedulers) if one is not None), None)
                run = self._runs[key] = replace(run, first=first)
            self._called.add(key)
        return run

    def note(self, branch: str) -> None:
        """Takes note that a step of a branch was computed, in the current session's generation."""
        key = current_key()
        with self._lock:
            run = self._runs.get(key)
            if run is not None:
                self._runs[key] = replace(run, computed={**run.computed, branch: run.computed.get(branch, 0) + 1})

    def forget(self, key: Hashable) -> None:
        """Has the run of a session end."""
        with self._lock:
            self._runs.pop(key, None)
            self._called.discard(key)

    def begin(self, scheduler: Any) -> None:
        """Begins a generation of the current session: its steps are listed now."""
        key, times = current_key(), _times(scheduler)
        with self._lock:
            self._runs[key] = Run(next(_serials), len(scheduler.timesteps), times=times)
            self._runs.move_to_end(key)
            self._called.discard(key)
            if self._exchanged is not None:
                self._begun.add(key)
                if len(self._begun) > MOST_RUNS:  # whoever had begun without a word is long over
                    self._exchanged = None
                    self._begun.clear()
            while len(self._runs) > MOST_RUNS:
                forgotten, _ = self._runs.popitem(last=False)
                self._called.discard(forgotten)
                self._begun.discard(forgotten)
        for hook in list(self._hooks):
            hook.sessions.current().begin_generation()

    def end(self, scheduler: Any, timestep: Any) -> None:
        """Ends a step of the current session's generation, if a transformer was called in it.

        Args:
            scheduler: Whose `step` was called.
            timestep: The one that it was given.
        """
        key = current_key()
        with self._lock:
            run = self._runs.get(key)
            if run is None or key not in self._called:  # a second scheduler, or a second sample, of the same step
                return
            self._called.discard(key)
            first = _index_of(scheduler, timestep) if run.first is None else run.first
            run = self._runs[key] = replace(run, first=first, ended=run.ended + 1)
        if run.is_over:  # what is cached goes now; the record stays until the pipeline's own reset
            for hook in list(self._hooks):
                hook.sessions.current().forget()

    def _lose_all(self) -> None:
        """Gives up the runs of all sessions: some may go on with the scheduler of before, some may have begun anew."""
        with self._lock:
            self._runs = OrderedDict((key, replace(run, is_lost=True)) for key, run in self._runs.items())
            self._called.clear()
            self._begun = set(self._runs)

    def _schedulers(self) -> list[Any]:
        """Returns the schedulers that the pipeline has now; looks everywhere only where it holds something else."""
        pipeline = self._pipeline()
        held = {} if pipeline is None else vars(pipeline)
        if len(held) != self._size or any(held.get(name) is not one for name, one in self._known.items()):
            self._known = {name: one for name, one in held.items() if is_scheduler(one)}
            self._size = len(held)
        return list(self._known.values())

    def _attach(self, scheduler: Any) -> None:
        self._attached[id(scheduler)] = scheduler
        for name, told in (("set_timesteps", self._has_begun), ("step", self._has_ended)):
            setattr(scheduler, name, _Followed(scheduler, name, told))

    def _detach(self, scheduler: Any) -> None:
        del self._attached[id(scheduler)]
        for name, told in (("set_timesteps", self._has_begun), ("step", self._has_ended)):
            _take_off(scheduler, name, told)

    def _has_begun(self, scheduler: Any, _: Any) -> None:
        self.begin(scheduler)

    def _has_ended(self, scheduler: Any, timestep: Any) -> None:
        self.end(scheduler, timestep)


class _Followed:
    """A method of a scheduler that somebody is told of. To `inspect.signature` it is the method."""

    def __init__(self, scheduler: Any, name: str, told: Callable[[Any, Any], None]) -> None:
        self._scheduler = scheduler
        self._name = name
        self.own = vars(scheduler).get(name)
        """What the instance had in its place, None where that was the method of its class."""
        self.told: Callable[[Any, Any], None] | None = told
        method = getattr(scheduler, name)
        self._timestep = functools.partial(ArgumentFinder.of(method).find, "timestep")
        functools.update_wrapper(self, method, updated=())  # what is on another one of these is its own

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        method = getattr(type(self._scheduler), self._name).__get__(self._scheduler) if self.own is None else self.own
        result = method(*args, **kwargs)
        if self.told is not None:
            self.told(self._scheduler, self._timestep(args, kwargs))
        return result

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        """Nobody is told of a copy: it may be of another pipeline, or of the sound beside the video."""
        twin = memo[id(self._scheduler)]
        if self.own is None:
            return getattr(type(twin), self._name).__get__(twin)
        return copy.deepcopy(self.own, memo)

    def __reduce__(self) -> Any:
        """Pickled, it is the method of the scheduler, wherever that is loaded."""
        return getattr, (self._scheduler, self._name)


def is_scheduler(component: Any) -> bool:
    """Returns whether a component of a pipeline lists steps and takes them."""
    return not isinstance(component, type) and all(callable(getattr(component, name, None)) for name in METHODS)


def _take_off(scheduler: Any, name: str, told: Callable[[Any, Any], None]) -> None:
    """Takes off what was put on a scheduler, also where somebody else has put something around it since."""
    outer = None
    found = vars(scheduler).get(name)
    while isinstance(found, _Followed) and found.told != told:
        outer, found = found, found.own
    if not isinstance(found, _Followed):
        return
    found.told = None  # whoever holds it still has the method through it
    if outer is not None:
        outer.own = found.own
    elif found.own is None:
        delattr(scheduler, name)
    else:
        setattr(scheduler, name, found.own)


def _reference(pipeline: Any) -> Callable[[], Any]:
    try:
        return weakref.ref(pipeline)
    except TypeError:  # not every object can be referred to so
        return lambda: pipeline


def _begin_index(scheduler: Any) -> int | None:
    """Returns where a pipeline has said that it begins, None where it has not."""
    index = getattr(scheduler, "begin_index", None)
    return index if isinstance(index, int) else None


def _times(scheduler: Any) -> tuple[float, ...]:
    """Returns the listed timesteps, read in one go: a call of the transformer has to wait for none of them."""
    listed = scheduler.timesteps
    return tuple(map(float, listed.tolist() if hasattr(listed, "tolist") else listed))


def _index_of(scheduler: Any, timestep: Any) -> int:
    """Returns which of the listed steps has just ended: what the scheduler counts, else where the timestep stands."""
    counted = getattr(scheduler, "step_index", None)
    if isinstance(counted, int) and counted > 0:
        return counted - 1
    listed = _times(scheduler)
    return listed.index(float(timestep)) if timestep is not None and float(timestep) in listed else 0
