"""Hooks, branches, sessions, resets, shapes, removals and errors in any order, against a model that is easy to read."""

from __future__ import annotations

import itertools
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

import teaspec
from teaspec import TeaCacheConfig, TeaCacheHook, apply_teacache_hook, remove_teacache_hook
from teaspec.runtime.pipeline.apply import find_teacache_hook
from tests.runtime.driving import IDENTITY, latents, signal
from tests.runtime.models import SingleStream, extract_single

THRESHOLD = 0.503  # no sum of the distances below comes near it
KEYS = st.sampled_from([None, "a", "b"])
BRANCHES = st.sampled_from(["cond", "uncond"])
DISTANCES = st.sampled_from([0.0, 0.125, 0.25, 0.5])
LIMIT = 2
FIRST = 1000.0
FAILURES = (BufferError, RuntimeError)


@dataclass
class Branch:
    """What is remembered about a branch."""

    tokens: int
    level: float
    prompt: int
    residual: torch.Tensor
    seen: int = 1
    total: float = 0.0


@dataclass
class Remembered:
    """What is remembered about a session."""

    branches: dict[str, Branch] = field(default_factory=dict)
    moments: set[float] = field(default_factory=set)
    here: set[str] = field(default_factory=set)  # branches called at the last moment
    layouts: list[int] = field(default_factory=list)  # numbers of tokens, in the order of their appearance
    steps: int | None = None

    def forget(self) -> None:
        self.branches.clear()
        self.moments.clear()
        self.here.clear()
        self.layouts.clear()


@dataclass
class Caller:
    """Who generates in a session: when it is, which passes of the step it has made, on what."""

    timestep: float = FIRST
    made: set[str] = field(default_factory=set)
    tokens: int = 3
    levels: dict[str, float] = field(default_factory=dict)
    prompt: int = field(default_factory=itertools.count().__next__)  # each generation has one of its own
    behind_one_step: bool = False  # the generation before it was given up at its first timestep

    def step(self) -> None:
        self.timestep -= 1
        self.made.clear()


class Machine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.module, self.plain = SingleStream(), SingleStream()
        self.plain.load_state_dict(self.module.state_dict())
        self.callers: dict[Any, Caller] = {}
        self.seed = 0
        self.apply()

    def apply(self) -> None:
        config = TeaCacheConfig(THRESHOLD, IDENTITY, accumulate="signed", max_sessions=LIMIT)
        apply_teacache_hook(self.module, config, extractor=extract_single)
        self.sessions: OrderedDict[Any, Remembered] = OrderedDict()

    @property
    def hook(self) -> TeaCacheHook:
        hook = find_teacache_hook(self.module)
        assert hook is not None
        return hook

    def use(self, key: Any, session: Remembered) -> None:
        self.sessions[key] = session
        self.sessions.move_to_end(key)
        while len(self.sessions) > LIMIT:
            idle = [other for other in self.sessions if other != key]
            del self.sessions[next((other for other in idle if not self.sessions[other].branches), idle[0])]

    @rule(key=KEYS, branch=BRANCHES, distance=DISTANCES, explicit=st.booleans())
    def call(self, key: Any, branch: str, distance: float, explicit: bool) -> None:
        caller = self.callers.setdefault(key, Caller())
        if branch in caller.made:
            caller.step()
        caller.made.add(branch)
        level = caller.levels.get(branch, 1.0) * (1 + distance)
        caller.levels[branch] = level
        self.seed += 1
        hidden = latents(self.seed, caller.tokens)
        expected, choice = self.expect(key, branch, caller, hidden, level)
        with torch.no_grad(), teaspec.session(key), self.naming(branch, explicit):
            assert torch.equal(self.module(hidden, signal(level), caller.timestep, prompt=caller.prompt), expected)
            decision = self.hook.decisions[-1]
        assert (decision.branch, decision.decision) == choice

    @torch.no_grad()
    def expect(
        self, key: Any, branch: str, caller: Caller, hidden: torch.Tensor, level: float
    ) -> tuple[torch.Tensor, tuple[str, str]]:
        session = self.sessions.get(key) or Remembered()
        turned = len(session.moments) > 1 and caller.timestep > min(session.moments)
        repeated = session.moments == {caller.timestep} and self.title(session, branch, caller) in session.here
        if turned or repeated:
            session.forget()
        known = session.branches.get(self.title(session, branch, caller))
        if known is not None and known.prompt != caller.prompt:
            session.forget()  # of a generation that was given up before it called this branch
            known = None
        branch = self.title(session, branch, caller)
        if known is None and caller.timestep not in session.moments:
            session.branches.clear()  # a step that begins with what was never seen may be that of another generation
        if caller.tokens not in session.layouts:
            session.layouts.append(caller.tokens)
        entry = after = self.plain.embed(hidden)
        total = 0.0 if known is None else known.total + (level - known.level) / known.level
        step = len(session.moments) - (caller.timestep in session.moments)
        last = session.steps is not None and step == session.steps - 1
        compute = known is None or last or total >= THRESHOLD
        if compute:
            for block in self.plain.blocks:
                after = block(after, signal(level).mean())
        else:
            after = entry + known.residual
        session.branches[branch] = Branch(
            tokens=caller.tokens,
            level=level,
            prompt=caller.prompt,
            residual=after - entry if compute else known.residual,
            seen=1 if known is None else known.seen + 1,
            total=0.0 if compute else total,
        )
        if caller.timestep not in session.moments:
            session.here.clear()
        session.moments.add(caller.timestep)
        session.here.add(branch)
        self.use(key, session)
        return self.plain.head(after), (branch, "compute" if compute else "reuse")

    def title(self, session: Remembered, branch: str, caller: Caller) -> str:
        """The branch as the hook calls it: each further number of tokens is a branch beside the first."""
        known = caller.tokens in session.layouts
        number = session.layouts.index(caller.tokens) if known else len(session.layouts)
        return f"{branch}:{number}" if number else branch

    def naming(self, branch: str, explicit: bool) -> Any:
        return teaspec.branch(branch) if explicit else self.module.cache_context(branch)

    @rule(key=KEYS, branch=BRANCHES, place=st.sampled_from(["embed", "head", "shape"]), explicit=st.booleans())
    def fail(self, key: Any, branch: str, place: str, explicit: bool) -> None:
        caller = self.callers.setdefault(key, Caller())
        hidden, handle = latents(99, caller.tokens), None
        if place == "shape":
            hidden = hidden[..., :1]
        else:
            handle = getattr(self.module, place).register_forward_hook(lambda *_: (_ for _ in ()).throw(BufferError()))
        with torch.no_grad(), teaspec.session(key), self.naming(branch, explicit), pytest.raises(FAILURES):
            self.module(hidden, signal(1.0), caller.timestep, prompt=caller.prompt)
        if handle is not None:
            handle.remove()

    @rule(key=KEYS)
    def give_up(self, key: Any) -> None:
        """The next generation begins, and nobody says so."""
        session = self.sessions.get(key) or Remembered()
        caller = self.callers.get(key)
        if caller is None:
            return
        at_first = session.moments == {FIRST}
        # After one call somewhere in the middle, of a session that was dropped say, there is no direction to turn from.
        # Several that are given up at their first timestep look like windows of one.
        if len(session.moments) != 1 or (at_first and not caller.behind_one_step):
            self.callers[key] = Caller(tokens=caller.tokens, behind_one_step=at_first)

    @rule(key=KEYS, distances=st.lists(DISTANCES, min_size=1, max_size=5), steps=st.integers(1, 3))
    def several_steps(self, key: Any, distances: list[float], steps: int) -> None:
        for _ in range(steps):
            for branch, distance in zip(("cond", "uncond"), distances, strict=False):
                self.call(key, branch, distance, False)

    @rule(key=KEYS, distance=DISTANCES)
    def give_up_and_begin_anew(self, key: Any, distance: float) -> None:
        self.give_up(key)
        self.several_steps(key, [distance, distance], 2)

    @rule(key=KEYS)
    def change_shape(self, key: Any) -> None:
        caller = self.callers.setdefault(key, Caller())
        caller.tokens = 8 - caller.tokens

    @rule(key=KEYS)
    def reset(self, key: Any) -> None:
        with teaspec.session(key):
            self.module._reset_stateful_cache()
        if key in self.sessions:
            self.sessions[key].forget()
        self.callers.pop(key, None)

    @rule(key=KEYS, steps=st.sampled_from([None, 2, 4]))
    def refresh(self, key: Any, steps: int | None) -> None:
        with teaspec.session(key):
            self.hook.expect(steps)
            self.hook.reset_state(self.module)
        session = self.sessions.get(key) or Remembered()
        session.steps = steps
        # Noted before it is reset: a session that still holds something when others are dropped stays.
        self.use(key, session)
        session.forget()
        self.callers.pop(key, None)

    @rule(key=KEYS)
    def end(self, key: Any) -> None:
        teaspec.end_session(self.module, key)
        self.sessions.pop(key, None)
        self.callers.pop(key, None)

    @rule(again=st.booleans())
    @precondition(lambda self: self.seed % 3 == 2)
    def remove(self, again: bool) -> None:
        with pytest.raises(ValueError, match="already applied"):
            apply_teacache_hook(self.module, TeaCacheConfig(coefficients=IDENTITY), extractor=extract_single)
        remove_teacache_hook(self.module)
        assert "forward" not in vars(self.module)
        if again:
            with pytest.raises(ValueError, match="not applied"):
                remove_teacache_hook(self.module)
        assert torch.equal(self.module(latents(), signal(1.0)), self.plain(latents(), signal(1.0)))
        self.apply()
        self.callers.clear()

    @invariant()
    def the_same_is_remembered(self) -> None:
        found = {
            one.key: {name: (state.cnt, state.layout[1][1][1]) for name, state in one.states.items()}
            for one in self.hook.sessions.all
        }
        expected = {
            key: {name: (branch.seen, branch.tokens) for name, branch in session.branches.items()}
            for key, session in self.sessions.items()
        }
        assert found == expected
        assert list(found) == list(expected)  # in the order of their use
        assert not any(one.busy for one in self.hook.sessions.all)

    @invariant()
    def no_context_is_left_behind(self) -> None:
        assert self.hook.state_manager.find_context() is None


Machine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestMachine = Machine.TestCase
