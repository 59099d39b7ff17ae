"""The hook that runs in place of a transformer's forward."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import nn

from teaspec.runtime.calibrations.calibration import Calibration
from teaspec.runtime.contract.arguments import tensors_in
from teaspec.runtime.contract.assembly import without_signal
from teaspec.runtime.contract.context import CacheContext, Finished
from teaspec.runtime.contract.signature import Signature
from teaspec.runtime.generation.branches import BranchStates, find_branch
from teaspec.runtime.generation.calls import Call
from teaspec.runtime.generation.conditioning import leaves_of
from teaspec.runtime.generation.moments import look
from teaspec.runtime.generation.run import Clock, Run
from teaspec.runtime.generation.sessions import Attempt, Session, Sessions, current_key
from teaspec.runtime.host.chain import replaced_forward
from teaspec.runtime.host.compiled import between_parts, part
from teaspec.runtime.host.copies import check_travels, deep_copy
from teaspec.runtime.host.groups import context_parallel_config, is_paired
from teaspec.runtime.host.library import ModelHook
from teaspec.runtime.host.rivals import refuse_rivals
from teaspec.runtime.host.splits import Split
from teaspec.runtime.host.timing import Elapsed, mark
from teaspec.runtime.keep.memory import Storage
from teaspec.runtime.keep.overwrite import OverwriteWatch
from teaspec.runtime.rules.record import Decision, Generation, StepCounts
from teaspec.runtime.rules.rule import Rule
from teaspec.runtime.settings.config import TeaCacheConfig
from teaspec.runtime.settings.ruling import Ruling
from teaspec.runtime.settings.values import check, is_count
from teaspec.runtime.step.names import Names
from teaspec.runtime.step.ranks import Ranks
from teaspec.runtime.step.resolve import resolve
from teaspec.runtime.step.stepping import Step, Stepper, commit
from teaspec.runtime.step.telling import Teller


class TeaCacheHook(Names, ModelHook):
    """Replaces a transformer's forward by TeaCache; what is particular to a model is in its extractor.

    Use `apply_teacache_hook`, which puts the hook in its place; the hook alone does not know of other hooks.

    Attributes:
        config: The user's config; once the hook is on a module, a copy with every choice made. All but the
            coefficients, the type and the variant is read at each call.
        sessions: What is remembered, by session.
        state_manager: The states of the current session, one `TeaCacheState` per branch; diffusers'
            `cache_context(name)` reaches it.
        extractor_fn: `(module, *args, **kwargs) -> CacheContext`, for the module that carries the hook.
        clock: What is known of the schedulers of its pipeline, None where it was applied to a transformer alone.
    """

    _HOOK_NAME = "teacache"
    _is_stateful = True

    def __init__(self, config: TeaCacheConfig | None = None, extractor: Callable[..., Any] | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.config = TeaCacheConfig() if config is None else config
        self.extractor_fn: Callable[..., Any] | None = extractor
        self.sessions = Sessions()
        self.state_manager = BranchStates(self.sessions)
        self.clock: Clock | None = None
        self._signature = Signature()
        self._watch = OverwriteWatch()
        self._given = extractor
        self._was_pickled = False
        self._ruling = Ruling(Calibration())
        self._teller = Teller()

    def __deepcopy__(self, memo: dict[int, Any]) -> TeaCacheHook:
        """Copies what is remembered, too: the copy goes on where this one is, but for what its pipeline tells."""
        twin: TeaCacheHook = deep_copy(self, memo, shared=("extractor_fn", "_given", "clock"))
        twin.clock = None
        return twin

    def __getstate__(self) -> dict[str, Any]:
        """Pickles the settings alone: what is remembered stays, and the extractor is compiled where it is loaded."""
        check_travels(self._given)
        return {"config": self.config, "extractor": self._given, "fn_ref": self.fn_ref}

    def __setstate__(self, state: dict[str, Any]) -> None:
        TeaCacheHook.__init__(self, state["config"], state["extractor"])
        self.fn_ref = state["fn_ref"]
        self._was_pickled = True  # the module is not whole yet, so the first call resolves the settings

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
        self.extractor_fn = resolved.extractor
        self._signature = Signature.of(module.forward, resolved.extractor, resolved.bypass)
        self._ruling = Ruling(resolved.published)
        self._was_pickled = False
        return module

    def deinitalize_hook(self, module: nn.Module) -> nn.Module:
        """Frees the cached tensors when the hook is removed. The misspelt name is diffusers' own.

        Args:
            module: The transformer.

        Returns:
            The module.
        """
        for session in self.sessions.all:
            session.begin_generation()
        if self.clock is not None:
            self.clock.leave(self)
        return module

    @between_parts
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
            ValueError: If a setting needs the number of steps, and nobody knows it.
            RuntimeError: If another call of the same session is running, another thread or task goes on with the
                generation of this one, or a cache of diffusers was switched on since.
        """
        if self._was_pickled:
            self.initialize_hook(module)
        run = None if self.clock is None else self.clock.attend()
        rule = self.rule
        ranks = Ranks.of(self.config, module, args, kwargs)
        if self._passes_by(module, args, kwargs):
            ranks.pass_by(rule)
            original_forward: Any = self.fn_ref.original_forward
            return original_forward(*args, **kwargs)
        # Once a generation it looks everywhere.
        begins = self.sessions.current().position is None
        refuse_rivals(module, TeaCacheHook, everywhere=begins)
        if begins:
            self._follow(module)
        with self.sessions.entered(self.config.max_sessions) as session:
            steps: list[Step] = []
            latents = self._signature.latents(args, kwargs)
            start = mark(latents)
            try:
                call = self._identify(session, module, args, kwargs, latents, run)
                stepper = self._stepper(module, rule, ranks)
                run_cut = partial(
                    self._extract, module, args, kwargs, lambda cut: self._drive(stepper, session, call, cut, steps)
                )
                output = run_cut() if rule.needs_signal else without_signal(run_cut)
            except BaseException:
                session.attempt = Attempt(args, kwargs)
                self.state_manager.leave_failed()
                raise
            # Only now is the call known to have succeeded: up to here an exception leaves everything as it was.
            elapsed = Elapsed(start, mark(latents))
            decisions = [self._commit(session, step, elapsed) for step in steps]
        for decision in decisions:
            self._teller.decision(module, decision, self.config.on_decision)
        return output

    def expect(self, num_inference_steps: int | None) -> None:
        """Takes note of the number of steps of the current session's generations to come.

        Args:
            num_inference_steps: The number; None forgets an earlier one, so that the config's counts again.

        Raises:
            ValueError: If it is neither None nor an integer of at least 1.
        """
        fits = num_inference_steps is None or is_count(num_inference_steps, 1)
        check("num_inference_steps", num_inference_steps, fits, "an integer of at least 1, or None")
        self.sessions.expect(num_inference_steps, self.config.max_sessions)

    def reset_state(self, module: nn.Module) -> nn.Module:
        """Forgets all branches of the current session; its next call starts a new generation.

        Args:
            module: The transformer.

        Returns:
            The module.
        """
        self._teller.end(self.sessions.current(), self.config.guards.guard_the_end)
        self.state_manager.reset()
        if self.clock is not None:
            self.clock.forget(current_key())
        return module

    @property
    def rule(self) -> Rule:
        """What decides about the calls of the current session."""
        return self._ruling.of(self.config, self.sessions.current_wish())

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """The decisions since the current session's generation began, oldest first (the last 4096 of them)."""
        return self.sessions.current().log.current.decisions

    @property
    def counts(self) -> dict[str, StepCounts]:
        """Steps computed and reused since the current session's generation began, by branch."""
        return self.sessions.current().log.current.counts

    @property
    def last_generation(self) -> Generation | None:
        """The record of the current session's generation before; pipelines reset before anybody can look."""
        return self.sessions.current().log.last

    def _passes_by(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
        """Returns whether a call runs uncached and touches no state."""
        if torch.is_grad_enabled():
            # What is reused has no graph, and a forward may draw random numbers that only training wants.
            if module.training:
                self._teller.training(type(module).__name__)
                return True
            if any(tensor.requires_grad for tensor in tensors_in(args, kwargs)):
                self._teller.gradients(type(module).__name__)
                return True
        return self._signature.goes_past(args, kwargs)

    def _follow(self, module: nn.Module) -> None:
        """Has the extractor made anew where the model's code is another one since it was made."""
        is_current = getattr(self.extractor_fn, "is_current", None)
        if is_current is not None and not is_current(module, replaced_forward):
            self.extractor_fn = self._given
            self.initialize_hook(module)
            if self.extractor_fn is self._given:
                raise RuntimeError(
                    f"the forward of this {type(module).__name__}, or a part of it, was replaced since the extractor "
                    f"that TeaCache was applied with was compiled: apply TeaCache anew, with one that fits"
                )

    def _identify(
        self,
        session: Session,
        module: nn.Module,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        latents: Any,
        run: Run | None,
    ) -> Call:
        context = self.state_manager.find_context()
        last = None if session.position is None else session.position.moment
        index = None if context is None else context.step_index
        names, paired = self._signature.timestep, is_paired(module)
        return Call(
            moment=look(self._signature.arguments, names, args, kwargs, last, index, latents),
            branch=find_branch(context, self.config, paired=paired),
            paired=paired,
            again=session.attempt is not None and not session.attempt.is_repeated_by(args, kwargs),
            image=latents if isinstance(latents, torch.Tensor) else None,
            total=None if context is None else context.num_inference_steps,
            run=run,
            passed=leaves_of(self._signature.conditioning(args, kwargs)),
        )

    def _extract(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], drive: Callable[[Any], Any]
    ) -> Any:
        if self.extractor_fn is None:
            raise RuntimeError("this TeaCacheHook is on no module; use apply_teacache_hook(module, config)")
        enter = getattr(self.extractor_fn, "enter", None)
        if enter is not None:
            return enter(module, args, kwargs, drive)
        return drive(part(self.extractor_fn, module, *args, **kwargs))

    def _stepper(self, module: nn.Module, rule: Rule, ranks: Ranks) -> Stepper:
        device = None if self.config.cache_device is None else torch.device(self.config.cache_device)
        storage = Storage(device, self.config.cache_dtype)
        split = Split(context_parallel_config(module))
        return Stepper(self.config, rule, self._watch, storage, ranks, split)

    def _drive(
        self, stepper: Stepper, session: Session, call: Call, cut: CacheContext | Finished, steps: list[Step]
    ) -> Any:
        if isinstance(cut, Finished):
            stepper.ranks.pass_by(stepper.rule)
            return cut.value
        if not isinstance(cut, CacheContext):
            raise TypeError(
                f"the extractor for {self.config.transformer_type} must return a CacheContext, found a "
                f"{type(cut).__qualname__}"
            )
        output, step = stepper.take(session, call, cut)
        steps.append(step)
        return output

    def _commit(self, session: Session, step: Step, elapsed: Elapsed) -> Decision:
        commit(session, step)
        if self.clock is not None and step.verdict.choice == "compute":
            self.clock.note(step.position.base)
        decision = Decision.of(step.position.branch, step.seen - 1, step.verdict, session.key, elapsed)
        session.log.add(decision)
        self._teller.step(session, step)
        return decision
