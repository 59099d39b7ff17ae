"""One step of a branch: decided, computed or reused, and what that leaves behind."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch

from teaspec.runtime.contract.context import CacheContext
from teaspec.runtime.contract.streams import ENCODER, HIDDEN, streams_of
from teaspec.runtime.generation.sessions import Session
from teaspec.runtime.generation.state import Layout, TeaCacheState
from teaspec.runtime.generation.timeline import Call, Moment, Position, begin, place
from teaspec.runtime.generation.together import Together, agree
from teaspec.runtime.host.compiled import runs_compiled
from teaspec.runtime.host.splits import Split
from teaspec.runtime.keep.memory import Storage
from teaspec.runtime.keep.overwrite import OverwriteWatch
from teaspec.runtime.rules.decision import Change, Verdict, decide, read
from teaspec.runtime.rules.forecast import Computed, ratio_of
from teaspec.runtime.rules.steps import Place, forced
from teaspec.runtime.settings.config import TeaCacheConfig
from teaspec.runtime.step.ranks import ELSEWHERE, Ranks
from teaspec.runtime.step.residuals import Outcome, can_reuse, compute, layout_of, residuals_of, reuse

INPUT = "modulated_input"
CHANGED = "changed shape, dtype or device"


@dataclass(frozen=True, eq=False)
class Step:
    """What a call leaves behind, once it has succeeded.

    Attributes:
        position: Its place.
        state: The branch's new state.
        verdict: What was decided.
        together: What the calls of the step do, where branches decide together.
        begins: Whether a new generation begins with it.
    """

    position: Position
    state: TeaCacheState
    verdict: Verdict
    together: Together | None
    begins: bool


@dataclass(frozen=True, eq=False)
class Stepper:
    """Takes steps.

    Attributes:
        config: The settled config.
        rescale: The polynomial.
        watch: Knows which tensors the model overwrites.
        storage: Where cached tensors are kept.
        ranks: The processes that share the call.
        split: How streams are shared out among them.
    """

    config: TeaCacheConfig
    rescale: Callable[[float], float]
    watch: OverwriteWatch
    storage: Storage
    ranks: Ranks
    split: Split

    def take(self, session: Session, call: Call, context: CacheContext) -> tuple[Any, Step]:
        """Runs one call behind its prelude; the session stays as it is.

        Args:
            session: Where the call belongs.
            call: The call.
            context: The call, cut.

        Returns:
            What the forward returns, and what is to be committed.
        """
        layout = layout_of(context)
        verdict, position, begins = self._decide(session, call, context, layout)
        together = None
        if self.config.decide == "any":
            before, states = (None, {}) if begins else (session.together, session.states)
            verdict, together = agree(verdict, position, before, states, self.config.rel_l1_thresh)
            computes = verdict.choice == "compute"
            if self.ranks.does_another_compute(computes) and not computes:
                verdict = replace(verdict, choice="compute", reason="another branch", carried=0.0)
                together = replace(together, choice="compute")
        state = TeaCacheState() if begins else session.states.get(position.branch) or TeaCacheState()
        if runs_compiled():
            self.watch.suspect(INPUT)
        kept = self.watch.keep(INPUT, context.modulated_input, self.storage)
        reuses = verdict.choice == "reuse"
        now = _time_of(position.moment, state.cnt)
        if reuses:
            outcome = reuse(context, state, self.split, self._ratio(state, now))
            successor = state
        else:
            successor = replace(state, computed_at=now, earlier=self._earlier(state, context))
            outcome = compute(context, self.watch, self.storage, self.split)
        successor = replace(
            _with_residuals(successor, outcome),
            cnt=state.cnt + 1,
            accumulated_rel_l1_distance=verdict.carried,
            consecutive_reuses=state.consecutive_reuses + 1 if reuses else 0,
            previous_modulated_input=kept.value,
            kept_input=kept,
            layout=layout,
        )
        return outcome.output, Step(position, successor, verdict, together, begins)

    def _ratio(self, state: TeaCacheState, now: float | None) -> float:
        if not self.config.residual_order:
            return 0.0
        return ratio_of(state.earlier.at, state.computed_at, now, self.config.residual_limit)

    def _earlier(self, state: TeaCacheState, context: CacheContext) -> Computed:
        """Returns what a step that is computed keeps of the computed step before it."""
        if not self.config.residual_order:
            return Computed()
        known = residuals_of(state)  # and values carried over, which have no line
        keys = [stream.key for stream in streams_of(context) if stream.entry is not None and stream.key in known]
        return Computed(state.computed_at, {key: known[key] for key in keys}, state.origins)

    def _decide(
        self, session: Session, call: Call, context: CacheContext, layout: Layout
    ) -> tuple[Verdict, Position, bool]:
        # A named call whose timestep is on an accelerator has its place only when the distance is read, too: the device
        # is waited for once. So has one that is shared, whose timestep may be. Until then it is taken to go on with the
        # generation.
        late = call.moment.unread is not None or self.ranks.sequence is not None
        position = None if late and call.branch is not None else _place(session, call)
        branch = call.branch if position is None else position.branch
        goes_on = position is None or not position.restarts
        state = session.states.get(branch) if goes_on and branch is not None else None
        changed = goes_on and _is_changed(session, call, state, layout)
        reason, change = self._forecast(session, call, None if changed else state, context)
        found = self.ranks.read(
            change,
            call.moment.level if position is None else position.moment.level,
            restarts=changed or (position is not None and position.restarts),
            computes=reason is not None,
        )
        if position is None:
            position = place(session.position, call.at(found.level))
        if position.restarts or found.restarts:
            reason = CHANGED if changed else "first call" if position.restarts else ELSEWHERE
            if not position.restarts:
                position = begin(replace(call, moment=position.moment))
            return Verdict("compute", reason), position, True
        if found.distance is None or state is None:
            return Verdict("compute", reason or ELSEWHERE), position, False
        assert self.config.accumulate is not None
        verdict = decide(
            found.distance,
            state.accumulated_rel_l1_distance,
            self.config.rel_l1_thresh,
            self.rescale,
            self.config.accumulate,
        )
        return verdict, position, False

    def _forecast(
        self, session: Session, call: Call, state: TeaCacheState | None, context: CacheContext
    ) -> tuple[str | None, Change | None]:
        """Returns why the step must be computed, or else how much has changed, not read yet."""
        seen = TeaCacheState() if state is None else state
        where = Place(
            seen=seen.cnt,
            index=seen.cnt if call.moment.index is None else call.moment.index,
            total=call.total or session.num_inference_steps or self.config.num_inference_steps,
            reused=seen.consecutive_reuses,
        )
        # Before the first call, too: settings that cannot be met are an error of the first call, not of a later one.
        reason = forced(self.config.guards, where)
        if seen.kept_input is None:
            return "first call", None
        self.watch.learn(INPUT, seen.kept_input)
        if reason is not None:
            return reason, None
        previous = seen.kept_input.find()
        if previous is None:
            return "previous input overwritten", None
        if not can_reuse(context, residuals_of(seen)):
            return "no residual", None
        with torch.no_grad():
            return None, Change.of(context.modulated_input, previous)


def _time_of(moment: Moment, seen: int) -> float | None:
    """Returns when a step is: its timestep, or where the forward takes none, its number."""
    if moment.timestep is None:
        return float(seen if moment.index is None else moment.index)
    return moment.level if isinstance(moment.level, float) else None


def _place(session: Session, call: Call) -> Position:
    unread = call.moment.unread
    return place(session.position, call if unread is None else call.at(*read(unread)))


def _is_changed(session: Session, call: Call, state: TeaCacheState | None, layout: Layout) -> bool:
    """Returns whether the call is about something else than the generation so far."""
    if state is not None and state.kept_input is not None:
        return layout != state.layout
    # Counted calls are passes over one image: another one's shape tells that it is not the second pass.
    return call.branch is None and any(_image(other.layout) != _image(layout) for other in session.states.values())


def _image(layout: Layout) -> Layout:
    return tuple(entry for entry in layout if entry[0] == HIDDEN)


def _with_residuals(state: TeaCacheState, outcome: Outcome) -> TeaCacheState:
    residuals = outcome.residuals
    return replace(
        state,
        previous_residual=residuals.get(HIDDEN),
        previous_residual_encoder=residuals.get(ENCODER),
        previous_live={key: value for key, value in residuals.items() if key not in (HIDDEN, ENCODER)},
        origins=outcome.origins,
    )
