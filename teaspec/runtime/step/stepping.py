"""One step of a branch: decided, computed or reused, and what that leaves behind."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from teaspec.runtime.contract.context import CacheContext
from teaspec.runtime.contract.streams import ENCODER, HIDDEN, Stream, streams_of
from teaspec.runtime.generation.calls import Call, Position
from teaspec.runtime.generation.conditioning import Conditioning, keep
from teaspec.runtime.generation.moments import Moment
from teaspec.runtime.generation.run import Run
from teaspec.runtime.generation.sessions import Session, owner
from teaspec.runtime.generation.state import TeaCacheState
from teaspec.runtime.generation.together import Together, agree
from teaspec.runtime.host.splits import Split
from teaspec.runtime.keep.memory import Storage
from teaspec.runtime.keep.overwrite import OverwriteWatch
from teaspec.runtime.records import altered
from teaspec.runtime.rules.forecast import Computed, Forecast, Weights
from teaspec.runtime.rules.rule import Memory, Rule, Seen, Start
from teaspec.runtime.rules.steps import Place
from teaspec.runtime.rules.verdict import Verdict
from teaspec.runtime.settings.config import TeaCacheConfig
from teaspec.runtime.step.deciding import CONDITIONING, UNKNOWN, Decider, Found, index_of
from teaspec.runtime.step.ranks import Ranks
from teaspec.runtime.step.residuals import Outcome, compute, judged, layout_of, residuals_of, reuse


@dataclass(frozen=True, eq=False)
class Step:
    """What a call leaves behind, once it has succeeded.

    Attributes:
        position: Its place.
        state: The branch's new state.
        verdict: What was decided.
        together: What the calls of the step do, where branches decide together.
        begins: Whether a new generation begins with it.
        forgets: Whether it leaves nothing behind but the record, and nothing of what came before.
        drops: Whether nothing of the other branches is to be trusted from now on.
        seen: Steps of its branch, this one included, whatever their layout.
        index: Its number in the generation.
        total: Steps of the generation, as far as anybody knows.
        where: Arguments that are known to have changed.
    """

    position: Position
    state: TeaCacheState
    verdict: Verdict
    together: Together | None
    begins: bool
    forgets: bool
    drops: bool
    seen: int
    index: int
    total: int | None
    where: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Stepper:
    """Takes steps.

    Attributes:
        config: The settled config.
        rule: Decides where nothing else does.
        watch: Knows which tensors the model overwrites.
        storage: Where cached tensors are kept.
        ranks: The processes that share the call.
        split: How streams are shared out among them.
    """

    config: TeaCacheConfig
    rule: Rule
    watch: OverwriteWatch
    storage: Storage
    ranks: Ranks
    split: Split

    def take(self, session: Session, call: Call, context: CacheContext) -> tuple[Any, Step]:
        """Runs one call behind its prelude; the session stays as it is.

        Args:
            session: Where the call belongs.
            call: What is known of it but for the cut.
            context: The call, cut.

        Returns:
            What the forward returns, and what is to be committed.

        Raises:
            RuntimeError: If the call goes on with the generation of another thread.
            ValueError: If a setting needs the number of steps, and nobody knows it.
        """
        # What decides is compared by the rule, also where it is an argument itself.
        passed = {path: value for path, value in call.passed.items() if value is not context.modulated_input}
        streams = streams_of(context)
        layout = layout_of(context, streams, with_signal=self.rule.needs_signal)
        call = altered(call, layout=layout, passed=passed)
        seen = Seen(context, self.watch, self.storage, with_signal=self.rule.needs_signal)
        found = Decider(self.config, self.rule, self.watch, self.ranks).decide(session, call, seen, streams)
        if not found.begins:
            session.refuse_others(owner())
        position, verdict, together = found.position, found.verdict, None
        if self.config.decide == "any":
            before, states = (None, {}) if found.begins else (session.together, session.states)
            verdict, together = agree(verdict, position, before, states, self.rule)
            computes = verdict.choice == "compute"
            if self.ranks.does_another_compute(computes) and not computes:
                verdict = replace(verdict, choice="compute", reason="another branch")
                together = replace(together, choice="compute")
        # Before the blocks run: they may write into what the rule keeps.
        memory = self.rule.follow(seen, verdict, found.place, self._memory(session, found))
        left = session.left.get(position.branch)
        output, state = self._run(call, context, streams, found, verdict, memory, left)
        count = 1 + (0 if found.begins else session.seen.get(position.base, 0))
        return output, Step(
            position=position,
            state=state,
            verdict=verdict,
            together=together,
            begins=found.begins,
            forgets=found.forgets,
            drops=found.drops,
            seen=count,
            index=index_of(position),
            total=found.place.total,
            where=() if found.comparison is None else found.comparison.where,
        )

    def _memory(self, session: Session, found: Found) -> Memory:
        """Returns what the rule knows of a branch before a step: what it knew, or what it begins with."""
        if found.state is not None and found.state.ruling is type(self.rule):
            return found.state.memory
        run, base = found.position.run, found.position.base
        computed = run.computed if run is not None else {} if found.begins else session.computed
        return self.rule.init(Start(found.place, self.config.guards, computed.get(base, 0)))

    def _run(
        self,
        call: Call,
        context: CacheContext,
        streams: tuple[Stream, ...],
        found: Found,
        verdict: Verdict,
        memory: Memory,
        left: Conditioning | None,
    ) -> tuple[Any, TeaCacheState]:
        state = TeaCacheState() if found.state is None else found.state
        reuses = verdict.choice == "reuse"
        now = self._time(found.position, state.cnt)
        forecaster = self._forecaster(found.place)
        weights = partial(self._weights, forecaster, state, now, found.position.run)
        if reuses:
            outcome = reuse(context, streams, state, self.split, weights())
            successor = state  # with the residuals that it has
        else:
            earlier = self._earlier(forecaster, state, streams)
            judge = None
            if self.rule.needs_error and found.state is not None:
                judge = partial(judged, state=state, weights=weights())
            outcome = compute(context, streams, self.watch, self.storage, self.split, judge)
            if outcome.error is not None:
                memory = self.rule.learn(outcome.error, memory)
            successor = replace(_with_residuals(state, outcome), computed_at=now, earlier=earlier)
        if found.state is None or found.comparison is None:
            conditioning = keep(call.passed, self.watch, left)
        else:
            conditioning = state.conditioning.followed_by(call.passed, found.comparison, self.watch)
        successor = altered(
            successor,
            cnt=state.cnt + 1,
            consecutive_reuses=state.consecutive_reuses + 1 if reuses else 0,
            layout=call.layout,
            conditioning=conditioning,
            ruling=type(self.rule),
            memory=memory,
        )
        return outcome.output, successor

    def _time(self, position: Position, seen: int) -> float | None:
        """Returns when a step is; of a followed scheduler its number, where nothing is read that could tell more."""
        if position.run is None or self.rule.sums:
            return _time_of(position.moment, seen)
        return float(position.run.ended)

    def _forecaster(self, place: Place) -> Forecast:
        """Returns what a reused step adds: what the user has set, else what goes with the rule."""
        asked = None if self.config.is_forecast_given else self.rule.forecast(place)
        return self.config.forecaster if asked is None else asked

    def _weights(
        self, forecaster: Forecast, state: TeaCacheState, now: float | None, run: Run | None
    ) -> tuple[Weights, ...]:
        if forecaster.points < 2:
            return ()
        earlier = state.earlier.chain() if state.earlier.residuals else ()
        times = [state.computed_at, *(one.at for one in earlier)]
        if run is not None and not self.rule.sums:
            times, now = [run.at(time) for time in times], run.at(now)
        return forecaster.weights(times, now)

    def _earlier(self, forecaster: Forecast, state: TeaCacheState, streams: tuple[Stream, ...]) -> Computed:
        """Returns what a step that is computed keeps of the computed step before it."""
        if forecaster.points < 2 or state.ruling is not type(self.rule):
            return Computed()
        known = residuals_of(state)  # and values carried over, which have no line
        keys = [stream.key for stream in streams if stream.entry is not None and stream.key in known]
        before = state.earlier.shortened(forecaster.points - 2) if state.earlier.residuals else None
        return Computed(state.computed_at, {key: known[key] for key in keys}, state.origins, before)


def commit(session: Session, step: Step) -> None:
    """Has a session remember a step. Only now is its call known to have succeeded.

    Args:
        session: The session; up to here an exception leaves it as it was.
        step: What it leaves behind.
    """
    guessed = step.position.pattern is not None or step.verdict.reason == CONDITIONING
    barren = session.barren if guessed or not step.begins else 0
    if step.forgets:
        session.forget()
    elif step.begins and step.position.pattern is not None:
        session.forget(doubting=True)
    elif step.begins:
        session.begin_generation()
    session.attempt = None
    first = step.position.order == 1 or step.forgets
    session.barren = barren + first if step.verdict.reason in UNKNOWN else 0
    if step.forgets:
        return
    if step.begins:
        session.owner = owner()
    session.position, session.together = step.position, step.together
    session.last, session.total = step.index, step.total
    if step.drops:
        session.drop()
    if step.position.pattern is None:
        if step.position.unsure:
            session.doubt()
        elif session.doubted:
            session.doubted = {}  # by now they are known to be of one generation, or of another one
    session.states[step.position.branch] = step.state
    session.seen[step.position.base] = step.seen
    session.latest[step.position.base] = step.position.branch
    if step.verdict.choice == "compute":
        session.computed[step.position.base] = session.computed.get(step.position.base, 0) + 1
        session.weight = session.bytes_held  # reused steps keep what there is


def _time_of(moment: Moment, seen: int) -> float | None:
    """Returns when a step is: its timestep, or where the forward takes none, its number."""
    if moment.timestep is None:
        return float(seen if moment.index is None else moment.index)
    return moment.level if isinstance(moment.level, float) else None


def _with_residuals(state: TeaCacheState, outcome: Outcome) -> TeaCacheState:
    residuals = outcome.residuals
    return replace(
        state,
        previous_residual=residuals.get(HIDDEN),
        previous_residual_encoder=residuals.get(ENCODER),
        previous_live={key: value for key, value in residuals.items() if key not in (HIDDEN, ENCODER)},
        origins=outcome.origins,
    )
