"""The hook that runs in place of a transformer's forward."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from diffusers.hooks.hooks import ModelHook
from torch import nn

from teaspec.runtime.arguments import ArgumentFinder
from teaspec.runtime.branches import BranchStates
from teaspec.runtime.bypass import Bypass
from teaspec.runtime.config import TeaCacheConfig
from teaspec.runtime.context import CacheContext, Finished
from teaspec.runtime.decision import Polynomial, Verdict, decide, relative_l1
from teaspec.runtime.generations import Call, CallOrder
from teaspec.runtime.overwrite import Kept, OverwriteWatch
from teaspec.runtime.record import Decision, DecisionLog, Generation, StepCounts
from teaspec.runtime.residuals import Outcome, can_reuse, compute, layout_of, residuals_of, reuse
from teaspec.runtime.resolve import resolve
from teaspec.runtime.state import TeaCacheState
from teaspec.runtime.steps import Place, forced
from teaspec.runtime.streams import ENCODER, HIDDEN
from teaspec.runtime.values import check, is_count

logger = logging.getLogger(__name__)

INPUT = "modulated_input"


class TeaCacheHook(ModelHook):
    """Replaces a transformer's forward by TeaCache; what is particular to a model is in its extractor.

    Use `apply_teacache_hook`, which puts the hook in its place; the hook alone does not know of other hooks.

    Attributes:
        config: The user's config; once the hook is on a module, a copy with every choice made. All but the
            coefficients, the type and the variant is read at each call.
        rescale_func: The polynomial that rescales distances.
        state_manager: Holds one `TeaCacheState` per branch; diffusers' `cache_context(name)` reaches it.
        extractor_fn: `(module, *args, **kwargs) -> CacheContext`, for the module that carries the hook.
    """

    _HOOK_NAME = "teacache"
    _is_stateful = True

    def __init__(self, config: TeaCacheConfig | None = None, extractor: Callable[..., Any] | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.config = TeaCacheConfig() if config is None else config
        self.rescale_func: Callable[[float], float] = Polynomial(())
        self.extractor_fn: Callable[..., Any] | None = extractor
        self.state_manager = BranchStates()
        self._arguments = ArgumentFinder({})
        self._bypass: tuple[Bypass, ...] = ()
        self._calls = CallOrder(self._arguments)
        self._watch = OverwriteWatch()
        self._log = DecisionLog()
        self._num_inference_steps: int | None = None
        self._warned_of_non_finite = False

    def initialize_hook(self, module: nn.Module) -> nn.Module:
        """Finds the extractor and the calibration for the module.

        Args:
            module: The transformer.

        Returns:
            The module.

        Raises:
            ValueError: If no extractor serves the module, or the config names another model's type or an unknown
                variant.
        """
        resolved = resolve(self.config, module, self.extractor_fn)
        self.config = resolved.config
        self.rescale_func = resolved.polynomial
        self.extractor_fn = resolved.extractor
        self._bypass = resolved.bypass
        self._arguments = ArgumentFinder.of(module.forward)
        self._calls = CallOrder(self._arguments)
        return module

    def deinitalize_hook(self, module: nn.Module) -> nn.Module:
        """Frees the cached tensors when the hook is removed. The misspelt name is diffusers' own."""
        return self.reset_state(module)

    def new_forward(self, module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        """Runs one call of the transformer: computed or, where little has changed, with the residual of an earlier one.

        Args:
            module: The transformer.
            *args: Positional arguments of its forward.
            **kwargs: Keyword arguments of its forward.

        Returns:
            What the forward returns.

        Raises:
            TypeError: If the extractor returns no `CacheContext`.
        """
        if any(rule.holds_for(self._arguments.find(rule.argument, args, kwargs)) for rule in self._bypass):
            original_forward: Any = self.fn_ref.original_forward
            return original_forward(*args, **kwargs)
        branch, call = self._identify(args, kwargs)
        steps: list[tuple[TeaCacheState, Verdict]] = []

        def drive(context: CacheContext | Finished) -> Any:
            if isinstance(context, Finished):
                return context.value
            output, state, verdict = self._step(context, self._state_of(branch, call))
            steps.append((state, verdict))
            return output

        output = self._extract(module, args, kwargs, drive)
        # Only now is the call known to have succeeded: up to here an exception leaves everything as it was.
        for state, verdict in steps:
            self._commit(branch, call, state, verdict)
        return output

    def expect(self, num_inference_steps: int | None) -> None:
        """Takes note of the number of steps of the generations to come.

        Args:
            num_inference_steps: The number; None forgets an earlier one, so that the config's counts again.

        Raises:
            ValueError: If it is neither None nor an integer of at least 1.
        """
        fits = num_inference_steps is None or is_count(num_inference_steps, 1)
        check("num_inference_steps", num_inference_steps, fits, "an integer of at least 1, or None")
        self._num_inference_steps = num_inference_steps

    def reset_state(self, module: nn.Module) -> nn.Module:
        """Forgets all branches; the next call starts a new generation.

        Args:
            module: The transformer.

        Returns:
            The module.
        """
        self.state_manager.reset()
        self._begin_generation()
        return module

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """The decisions since the last reset, oldest first (the last 4096 of them)."""
        return self._log.current.decisions

    @property
    def counts(self) -> dict[str, StepCounts]:
        """Steps computed and reused since the last reset, by branch."""
        return self._log.current.counts

    @property
    def last_generation(self) -> Generation | None:
        """The record of the generation that the last reset ended; pipelines reset before anybody can look."""
        return self._log.last

    def _begin_generation(self) -> None:
        self.state_manager.forget()
        self._calls.reset()
        self._log.close()

    def _identify(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[str, Call | None]:
        branch = self.state_manager.find_branch()
        if branch is not None:
            return branch, None
        call = self._calls.peek(args, kwargs)
        return f"#{call.index}", call

    def _extract(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], drive: Callable[[Any], Any]
    ) -> Any:
        if self.extractor_fn is None:
            raise RuntimeError("this TeaCacheHook is on no module; use apply_teacache_hook(module, config)")
        enter = getattr(self.extractor_fn, "enter", None)
        if enter is not None:
            return enter(module, args, kwargs, drive)
        return drive(self.extractor_fn(module, *args, **kwargs))

    def _state_of(self, branch: str, call: Call | None) -> TeaCacheState:
        found = None if call is not None and call.restarts else self.state_manager.find_state(branch)
        return TeaCacheState() if found is None else found

    def _step(self, context: CacheContext, state: TeaCacheState) -> tuple[Any, TeaCacheState, Verdict]:
        if not isinstance(context, CacheContext):
            raise TypeError(
                f"the extractor for {self.config.transformer_type} must return a CacheContext, found a "
                f"{type(context).__qualname__}"
            )
        layout = layout_of(context)
        residuals = residuals_of(state)
        verdict = self._decide(state, context, layout == state.layout, residuals)
        kept = self._watch.keep(INPUT, context.modulated_input)
        outcome = reuse(context, residuals) if verdict.choice == "reuse" else compute(context, self._watch)
        successor = replace(
            _with_residuals(state, outcome),
            cnt=state.cnt + 1,
            accumulated_rel_l1_distance=verdict.carried,
            consecutive_reuses=state.consecutive_reuses + 1 if verdict.choice == "reuse" else 0,
            previous_modulated_input=kept.value,
            kept_input=kept,
            layout=layout,
        )
        return outcome.output, successor, verdict

    def _decide(
        self, state: TeaCacheState, context: CacheContext, same_layout: bool, residuals: dict[str, Any]
    ) -> Verdict:
        # Before the first call, too: settings that cannot be met are an error of the first call, not of a later one.
        reason = forced(self.config, self._place_of(state))
        kept: Kept | None = state.kept_input
        if kept is None:
            return Verdict("compute", "first call")
        self._watch.learn(INPUT, kept)
        if reason is not None:
            return Verdict("compute", reason)
        previous = kept.find()
        if previous is None:
            return Verdict("compute", "previous input overwritten")
        if not same_layout:
            return Verdict("compute", "changed shape, dtype or device")
        if not can_reuse(context, residuals):
            return Verdict("compute", "no residual")
        with torch.no_grad():
            distance = relative_l1(context.modulated_input, previous)
        assert self.config.accumulate is not None
        return decide(
            distance,
            state.accumulated_rel_l1_distance,
            self.config.rel_l1_thresh,
            self.rescale_func,
            self.config.accumulate,
        )

    def _place_of(self, state: TeaCacheState) -> Place:
        index, total = self.state_manager.find_place()
        return Place(
            seen=state.cnt,
            index=state.cnt if index is None else index,
            total=total or self._num_inference_steps or self.config.num_inference_steps,
            reused=state.consecutive_reuses,
        )

    def _commit(self, branch: str, call: Call | None, state: TeaCacheState, verdict: Verdict) -> None:
        if call is not None:
            if call.restarts:
                self._begin_generation()
            self._calls.commit(call)
        self.state_manager.put_state(branch, state)
        decision = Decision(
            branch=branch,
            step=state.cnt - 1,
            decision=verdict.choice,
            distance=verdict.distance,
            rescaled=verdict.rescaled,
            accumulated=verdict.accumulated,
            reason=verdict.reason,
        )
        self._log.add(decision)
        logger.debug(
            "TeaCache branch=%s step=%d decision=%s distance=%s rescaled=%s accumulated=%s reason=%s",
            *(decision.branch, decision.step, decision.decision, decision.distance),
            *(decision.rescaled, decision.accumulated, decision.reason),
        )
        if verdict.reason == "non-finite distance" and not self._warned_of_non_finite:
            self._warned_of_non_finite = True
            logger.warning(
                "TeaCache measured a distance that is not finite (branch %s, step %d: distance %s, rescaled %s); such "
                "steps are computed. Said once",
                *(decision.branch, decision.step, decision.distance, decision.rescaled),
            )


def _with_residuals(state: TeaCacheState, outcome: Outcome) -> TeaCacheState:
    residuals = outcome.residuals
    return replace(
        state,
        previous_residual=residuals.get(HIDDEN),
        previous_residual_encoder=residuals.get(ENCODER),
        previous_live={key: value for key, value in residuals.items() if key not in (HIDDEN, ENCODER)},
    )
