"""What a call does: compute or reuse, and where it belongs. An accelerator is waited for once, in one reading."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from teaspec.runtime.contract.streams import Stream
from teaspec.runtime.generation.calls import Call, Position
from teaspec.runtime.generation.conditioning import Comparison
from teaspec.runtime.generation.moments import is_by_token, is_resized
from teaspec.runtime.generation.sessions import Session
from teaspec.runtime.generation.state import TeaCacheState
from teaspec.runtime.generation.timeline import STAGES, begin, is_repeated, key_of, place
from teaspec.runtime.keep.overwrite import OverwriteWatch
from teaspec.runtime.rules.numbers import read
from teaspec.runtime.rules.rule import Rule, Seen, Sums
from teaspec.runtime.rules.steps import Place, forced
from teaspec.runtime.rules.verdict import Verdict
from teaspec.runtime.settings.config import TeaCacheConfig
from teaspec.runtime.step.ranks import ELSEWHERE, Ranks, Reading
from teaspec.runtime.step.residuals import can_reuse, residuals_of

FIRST = "first call"
CONDITIONING = "other conditioning"
ROWS = "rows at different steps"
ANOTHER_RULE = "another rule"
UNKNOWN = (FIRST, CONDITIONING, ROWS)
"""Reasons of steps that are computed because nothing is known to be theirs."""


@dataclass(frozen=True, eq=False)
class Found:
    """What a call does.

    Attributes:
        verdict: Compute or reuse.
        position: Where it belongs.
        place: Where its step is in its generation.
        state: That of its branch, None where there is none that it may go on with.
        begins: Whether a new generation begins with it.
        forgets: Whether it leaves nothing behind.
        drops: Whether nothing of the other branches is to be trusted from now on.
        comparison: How its conditioning differs from that of the state, where there is one.
    """

    verdict: Verdict
    position: Position
    place: Place
    state: TeaCacheState | None = None
    begins: bool = False
    forgets: bool = False
    drops: bool = False
    comparison: Comparison | None = None


@dataclass(frozen=True, eq=False)
class Guess:
    """What is known of a call before anything is read.

    Attributes:
        position: Where it belongs, None where that has to be read.
        state: That of its branch, None where there is none.
        comparison: How its conditioning differs from that of the state.
        is_doubtful: Whether its objects are new, though those of the steps before were the same.
        reason: Why it must be computed, None where the rule may decide.
        place: Where its step is, None where its position is.
        total: Steps of the generation, None where nobody knows.
    """

    position: Position | None
    state: TeaCacheState | None
    comparison: Comparison | None
    is_doubtful: bool
    reason: str | None
    place: Place | None
    total: int | None


@dataclass(frozen=True, eq=False)
class Decider:
    """Decides about calls.

    Attributes:
        config: The settled config.
        rule: Decides where nothing else does.
        watch: Knows which tensors are written to.
        ranks: The processes that share the call.
    """

    config: TeaCacheConfig
    rule: Rule
    watch: OverwriteWatch
    ranks: Ranks

    def decide(self, session: Session, call: Call, seen: Seen, streams: tuple[Stream, ...]) -> Found:
        """Decides about one call.

        Args:
            session: Where it belongs.
            call: What is known of it before its blocks run.
            seen: What the rule may look at.
            streams: What enters and leaves its blocks.

        Raises:
            ValueError: If a setting needs the number of steps, and nobody knows it.
        """
        last, is_alone = session.position, self.ranks.sequence is None
        if is_alone and is_resized(None if last is None else last.moment, call.moment):
            call = replace(call, resized=True)
        guess, sums = self._guess(session, call, seen, streams)
        early = guess.position
        level = call.moment.level if early is None else early.moment.level
        if isinstance(level, torch.Tensor) and early is not None and is_alone and self._needs_no_time(early):
            level = None
        found = self.ranks.read(
            self.rule,
            sums,
            level,
            restarts=guess.is_doubtful or (early is not None and early.restarts),
            computes=guess.reason is not None,
            differs=guess.comparison is not None and guess.comparison.differs,
            spread=call.moment.spread,
            switched=_is_switched(session, call, early),
        )
        # The same on all ranks, whichever of them has more tokens now: what one sees of their times does not count.
        undirected = not is_alone and found.switched and is_by_token(call.moment)
        if early is None or found.differs or undirected or isinstance(level, torch.Tensor):
            known = level if early is not None and isinstance(level, float) else found.level
            is_unknown = guess.comparison is not None and guess.comparison.is_unknown
            call = replace(call.read(known), differs=found.differs, is_unknown=is_unknown, undirected=undirected)
            position = place(last, call)
        else:  # nothing that was read says where it belongs
            position = early
        if found.spread:
            first = Place(0, index_of(position), guess.total, 0, self._way(position))
            return Found(Verdict("compute", ROWS), position, first, begins=True, forgets=True)
        why = _why_it_begins(session, position, found, guess)
        if why is None:
            return self._go_on(session, position, found, guess)
        if why is not FIRST:
            # Within a step, the calls before it in that step may be of the new generation, too.
            position = begin(call, position, is_doubted=True, unsure=why is CONDITIONING and position.order > 1)
        first = Place(0, index_of(position), guess.total, 0, self._way(position))
        forced(self.config.guards, first, places_the_end=self.rule.places_the_end)
        return Found(Verdict("compute", why), position, first, begins=True, comparison=guess.comparison)

    def _guess(
        self, session: Session, call: Call, seen: Seen, streams: tuple[Stream, ...]
    ) -> tuple[Guess, Sums | None]:
        """Returns what is known before anything is read, and what the rule measured, where that may decide."""
        early = self._place_early(session, call)
        state, comparison = self._find_state(session, call, early)
        total = self._total(session, call, early)
        is_told = early is not None and early.is_told
        known = state is not None and comparison is not None and state.conditioning.is_doubted(comparison)
        is_doubtful = known and not is_told
        # Before the first call, too: settings that cannot be met are an error of that, not of a later one.
        where = None if early is None else self._place(session, early, state, total)
        reason = None if where is None else self._forced(where, state)
        sums = None
        if reason is None:
            reason, sums = self._measure(state, seen, streams)
        return Guess(early, state, comparison, is_doubtful, reason, where, total), sums

    def _needs_no_time(self, early: Position) -> bool:
        """Returns whether nobody asks when a step is: the scheduler tells which it is, and the rule reads nothing.

        Not so behind more calls than a step of any solver has: then timesteps tell whether that scheduler is used.
        """
        return early.run is not None and not self.rule.sums and early.order <= STAGES

    def _go_on(self, session: Session, position: Position, found: Reading, guess: Guess) -> Found:
        """Decides about a call that goes on with its generation."""
        own = session.states.get(position.branch)
        if guess.place is None:
            where = self._place(session, position, own, guess.total)
            reason = self._forced(where, own)
        else:
            where, reason = guess.place, guess.reason
        if found.differs or position.is_shifted or found.parted or own is None:
            why = CONDITIONING if found.differs or position.is_shifted else ELSEWHERE
            reason = FIRST if own is None and not found.differs else why
            position = position.shifting() if found.differs else position
            # A step that begins with what was never seen may be the first one of another generation.
            drops = own is None and position.order == 1 and not position.is_told
            verdict = Verdict("compute", reason)
            return Found(verdict, position, where, drops=drops, comparison=guess.comparison)
        if own is not guess.state:  # its place was not known before the reading, and it was not measured
            return Found(Verdict("compute", reason or "no residual"), position, where, own)
        verdict = self._verdict(found, where, own, reason or guess.reason)
        return Found(verdict, position, where, own, comparison=guess.comparison)

    def _place_early(self, session: Session, call: Call) -> Position | None:
        """Returns a call's place where it is known before anything is read, else None.

        A named call whose timestep is on an accelerator has its place only when all that decides is read: the device is
        waited for once. So has one that is shared, whose timestep may be. Until then it is taken for the first of its
        name in its step. Calls of one name are counted, and for that the device is waited for twice.
        """
        last = session.position
        told = call.run is not None or (
            call.moment.index is not None and last is not None and last.moment.index is not None
        )
        unread = call.moment.unread
        late = unread is not None or self.ranks.sequence is not None
        if not late or told:
            return place(last, call)
        if call.branch is not None and not (is_repeated(last, call) and _has_several(session)):
            return None
        return place(last, call if unread is None else call.read(read(unread)[0]))

    def _find_state(
        self, session: Session, call: Call, early: Position | None
    ) -> tuple[TeaCacheState | None, Comparison | None]:
        last = session.position
        if last is None:
            return None, None
        first = key_of(call, last.layouts)
        key = first if early is None else None if early.restarts else early.branch
        state = None if key is None else session.states.get(key)
        # Called again in a step: a window of this generation, or the first call of another one.
        twin = first if early is None else early.twin
        guessed = twin is not None and not (early is not None and early.is_told)
        reference = state or (session.states.get(twin) if guessed and twin is not None else None)
        given = None if reference is None else reference.conditioning
        if state is None and (last.unsure or last.pattern is not None):
            given = session.given_to(first if early is None else early.branch) or given
        return state, None if given is None else given.compare(call.passed, self.watch)

    def _total(self, session: Session, call: Call, position: Position | None) -> int | None:
        """Returns how many steps the generation has; who runs them knows better than who tells."""
        told = call.total or session.num_inference_steps or self.config.num_inference_steps
        return told if position is None or position.run is None else position.run.total

    def _place(self, session: Session, position: Position, state: TeaCacheState | None, total: int | None) -> Place:
        fresh = position.restarts or session.position is None
        seen = 0 if fresh else session.seen.get(position.base, 0)
        reused = 0 if state is None else state.consecutive_reuses
        return Place(seen, index_of(position), total, reused, self._way(position))

    def _way(self, position: Position) -> tuple[float, float] | None:
        return position.run.way() if self.rule.needs_error and position.run is not None else None

    def _forced(self, where: Place, state: TeaCacheState | None) -> str | None:
        reason = forced(self.config.guards, where, places_the_end=self.rule.places_the_end)
        return FIRST if state is None else reason

    def _measure(
        self, state: TeaCacheState | None, seen: Seen, streams: tuple[Stream, ...]
    ) -> tuple[str | None, Sums | None]:
        """Returns why the step must be computed, or else what the rule measured, not read yet."""
        if state is None:
            return FIRST, None
        if state.ruling is not type(self.rule):
            return ANOTHER_RULE, None
        if not can_reuse(streams, residuals_of(state)):
            return "no residual", None
        sums = self.rule.measure(seen, state.memory)
        return (sums, None) if isinstance(sums, str) else (None, sums)

    def _verdict(self, found: Reading, where: Place, state: TeaCacheState, reason: str | None) -> Verdict:
        if reason is not None or found.numbers is None:
            return Verdict("compute", reason or ELSEWHERE)
        return self.rule.decide(found.numbers, where, state.memory)


def index_of(position: Position) -> int:
    """Returns the number of a step in its generation: as the scheduler has it, or the pipeline, or as counted."""
    if position.run is not None:
        return position.run.ended
    return position.step if position.moment.index is None else position.moment.index


def _is_switched(session: Session, call: Call, early: Position | None) -> bool:
    """Returns whether a branch goes on with another layout than at its last step."""
    if session.position is None or (early is not None and early.restarts):
        return False
    base = call.branch if early is None else early.base
    branch = key_of(call, session.position.layouts) if early is None else early.branch
    return base in session.latest and session.latest[base] != branch


def _has_several(session: Session) -> bool:
    """Returns whether a name is called several times a step in this generation."""
    return any("#" in branch for branch in (*session.states, *session.doubted))


def _why_it_begins(session: Session, position: Position, found: Reading, guess: Guess) -> str | None:
    """Returns why a new generation begins with a call, None where none does."""
    if position.restarts or session.position is None:
        return FIRST
    is_placed = position.step == 0 and position.twin is not None  # called again in the first step: judged by `place`
    if found.differs and not position.is_told and not is_placed:
        return CONDITIONING
    if found.restarts:
        return CONDITIONING if guess.is_doubtful else ELSEWHERE
    return None
