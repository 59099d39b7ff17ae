"""What generated extractors are made of, besides the model's own statements."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import replace
from functools import partial
from typing import Any, Final

import torch

from teaspec.runtime.contract.context import CacheContext, Finished
from teaspec.runtime.host.compiled import part

Phase = Callable[..., Any]
Drive = Callable[["CacheContext | Finished"], Any]
Behind = Callable[[Any], Any]
Join = Callable[[Behind, Any], Any]


class _Unbound:
    """The mark of a name that the forward left unbound."""

    def __repr__(self) -> str:
        return "UNBOUND"


UNBOUND: Final = _Unbound()

_phase: ContextVar[Phase] = ContextVar("teaspec_phase")
_is_unasked: ContextVar[bool] = ContextVar("teaspec_signal_is_unasked", default=False)


def current_phase() -> Phase:
    """What the function under the model's decorators is to run now."""
    return _phase.get()


def default_of(function: Callable[..., Any], parameter: str) -> Any:
    """The very object that a parameter of the model's forward has as its default."""
    return inspect.signature(inspect.unwrap(function)).parameters[parameter].default


def entry_of(value: Any) -> torch.Tensor | None:
    """What a residual can be taken against: a floating tensor. None for anything else, which is carried over."""
    return value if isinstance(value, torch.Tensor) and value.is_floating_point() else None


def first_given(*values: Any) -> Any:
    """The first value that is neither None nor left unbound: modes of a forward bind different names."""
    return next((value for value in values if value is not None and value is not UNBOUND), None)


def without_signal(run: Callable[[], Any]) -> Any:
    """Runs something in which compiled extractors leave out the modulated input.

    Nobody may ask their contexts for it; what they hold in its place is no tensor.

    Args:
        run: What to run.
    """
    token = _is_unasked.set(True)
    try:
        return run()
    finally:
        _is_unasked.reset(token)


class PassedByError(RuntimeError):
    """An extractor was asked to cut a call that passes by the cache, in a way that it has no statements for."""

    def __init__(self, test: str) -> None:
        """Takes the test that tells such calls, as the forward has it."""
        super().__init__(
            f"the spec has calls with `{test}` pass by the cache, and this extractor was asked to cut one: call the "
            "model's own forward for it"
        )


class HandedOn:
    """A call that a forward hands on to the method that holds its blocks.

    Attributes:
        args: The method's arguments, the module first.
        kwargs: Its keyword arguments.
        behind: What the forward makes of what the method gives; None where it returns it.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Takes the method's arguments as the forward passes them."""
        self.args = args
        self.kwargs = kwargs
        self.behind: Behind | None = None

    def then(self, behind: Behind) -> HandedOn:
        """Says what the forward makes of what the method gives."""
        self.behind = behind
        return self


class Part:
    """A function of the extractor, under the decorators of the model's method that it stands for."""

    def __init__(self, function: Phase, decorated: Phase | None = None) -> None:
        """Joins a function and its decorators.

        Args:
            function: Takes the module and the method's arguments.
            decorated: A function under the method's decorators that runs `current_phase()` with its arguments; None
                where the method has none.
        """
        self.function = function
        self.decorated = decorated

    def within(self, phase: Phase, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Runs something inside the decorators: entered once, left once, also on an exception.

        Args:
            phase: What to run; called with the arguments as the decorators hand them on.
            args: The module and the positional arguments.
            kwargs: The keyword arguments.
        """
        if self.decorated is None:
            return phase(*args, **kwargs)
        token = _phase.set(phase)
        try:
            return self.decorated(*args, **kwargs)
        finally:
            _phase.reset(token)


class Extractor:
    """A forward cut in three, under the decorators of the forward.

    The decorators of a forward (diffusers' `apply_lora_scale`, `torch.no_grad()`) hold for a whole call: `enter` enters
    them once and leaves them once, with all three parts inside. A plain call returns the context and cannot know when
    its caller will be done, so there each part runs under the decorators by itself.

    Attributes:
        timestep: The forward's parameters of which the first that a call passes, and not as None, is its timestep.
            Empty where nothing is known, None where the text was written before it was asked.
        varying: Those that are made anew at each step besides the timestep; None as above.
        bypass: Which send a call past the cache: `name`, `name = value` or `name.attribute = value`.
    """

    def __init__(
        self,
        extract: Part,
        dispatch: Part | None = None,
        *,
        timestep: tuple[str, ...] | None = None,
        varying: tuple[str, ...] | None = None,
        bypass: tuple[str, ...] = (),
    ) -> None:
        """Joins the generated functions.

        Args:
            extract: The prelude; returns a `CacheContext` or `Finished`.
            dispatch: The forward, where it only hands on to the method that `extract` cuts; returns `HandedOn` or
                `Finished`.
            timestep: The parameters of the forward that are its timestep, in the order to try.
            varying: Those that are made anew at each step besides the timestep.
            bypass: Which send a call past the cache.
        """
        self._extract = extract
        self._dispatch = dispatch
        self.timestep = timestep
        self.varying = varying
        self.bypass = bypass

    def enter(self, module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], drive: Drive) -> Any:
        """Runs `drive` on the context of a call, inside the decorators of the forward.

        Args:
            module: The model that is called.
            args: Positional arguments of the forward.
            kwargs: Keyword arguments of the forward.
            drive: Takes the context (or `Finished`, where the forward returned before its blocks) to the call's result.

        Returns:
            What `drive` returns, as the decorators hand it on.
        """

        def phase(*args: Any, **kwargs: Any) -> Any:
            return drive(self._cut(*args, **kwargs))

        return self._within(module, args, kwargs, phase, finish=drive, join=lambda behind, result: behind(result))

    def __call__(self, module: torch.nn.Module, *args: Any, **kwargs: Any) -> CacheContext | Finished:
        """Cuts one call of the model's forward.

        Args:
            module: The model that is called.
            *args: Positional arguments of the forward.
            **kwargs: Keyword arguments of the forward.

        Returns:
            The context, or `Finished` where the forward returned before its blocks.
        """
        context: CacheContext | Finished = self._within(module, args, kwargs, self._cut, join=_behind_the_postlude)
        parts = (self._extract, self._dispatch)
        if isinstance(context, Finished) or all(part is None or part.decorated is None for part in parts):
            return context
        blocks, postprocess = context.run_transformer_blocks, context.postprocess
        return replace(
            context,
            run_transformer_blocks=lambda: self._within(module, args, kwargs, lambda *a, **k: blocks()),
            postprocess=lambda *live: self._within(module, args, kwargs, lambda *a, **k: postprocess(*live)),
        )

    def _cut(self, *args: Any, **kwargs: Any) -> CacheContext | Finished:
        """Runs the prelude, and what it defers to here, while the streams are still as they enter the blocks."""
        cut: CacheContext | Finished = part(self._extract.function, *args, **kwargs)
        if not isinstance(cut, Finished) and isinstance(cut.modulated_input, partial) and not _is_unasked.get():
            cut.modulated_input = part(cut.modulated_input)
        return cut

    def _within(
        self,
        module: torch.nn.Module,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        phase: Phase,
        finish: Drive = lambda finished: finished,
        join: Join = lambda behind, result: result,
    ) -> Any:
        """Runs a phase inside the decorators, of the forward and of the method that it hands on to.

        `finish` takes what the forward returned before it handed on; `join` what it makes of what the method gives, and
        what the phase gave.
        """
        if self._dispatch is None:
            return self._extract.within(phase, (module, *args), kwargs)
        dispatch = self._dispatch

        def hand_on(*a: Any, **k: Any) -> Any:
            handed = dispatch.function(*a, **k)
            if isinstance(handed, Finished):
                return finish(handed)
            result = self._extract.within(phase, handed.args, handed.kwargs)
            return result if handed.behind is None else join(handed.behind, result)

        return dispatch.within(hand_on, (module, *args), kwargs)


def _behind_the_postlude(behind: Behind, cut: CacheContext | Finished) -> CacheContext | Finished:
    """A cut call whose result is what the forward makes of it."""
    if isinstance(cut, Finished):
        return Finished(behind(cut.value))
    return replace(cut, postprocess=lambda *live: behind(cut.postprocess(*live)))
