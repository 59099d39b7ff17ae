"""What generated extractors are made of, besides the model's own statements."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import replace
from typing import Any, Final

import torch

from teaspec.runtime.context import CacheContext, Finished

Phase = Callable[..., Any]


class _Unbound:
    """The mark of a name that the forward left unbound."""

    def __repr__(self) -> str:
        return "UNBOUND"


UNBOUND: Final = _Unbound()

_phase: ContextVar[Phase] = ContextVar("teaspec_phase")


def current_phase() -> Phase:
    """What the function under the model's decorators is to run now."""
    return _phase.get()


class Extractor:
    """A forward cut in three, under the decorators of the forward.

    The decorators of a forward (diffusers' `apply_lora_scale`, `torch.no_grad()`) hold for a whole call: `enter` enters
    them once and leaves them once, also on an exception, with all three parts inside. A plain call returns the context and
    cannot know when its caller will be done, so there each part runs under the decorators by itself.
    """

    def __init__(self, extract: Callable[..., CacheContext | Finished], decorated: Callable[..., Any] | None = None) -> None:
        """Joins the generated functions.

        Args:
            extract: The prelude; takes the module and the forward's arguments.
            decorated: A function under the forward's decorators that runs `current_phase()` with its arguments. None where
                the forward has no decorators.
        """
        self._extract = extract
        self._decorated = decorated

    def enter(
        self,
        module: torch.nn.Module,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
        drive: Callable[[CacheContext | Finished], Any],
    ) -> Any:
        """Run `drive` on the context of a call, inside the decorators of the forward.

        Args:
            module: The model.
            args: Positional arguments of the forward.
            kwargs: Keyword arguments of the forward.
            drive: Takes the context (or `Finished`, where the forward returned before its blocks) to the call's result.

        Returns:
            What `drive` returns, as the decorators hand it on.
        """
        return self._within(module, args, kwargs, lambda *a, **k: drive(self._extract(*a, **k)))

    def __call__(self, module: torch.nn.Module, *args: Any, **kwargs: Any) -> CacheContext | Finished:
        """Cut one call of the model's forward.

        Args:
            module: The model.
            *args: Positional arguments of the forward.
            **kwargs: Keyword arguments of the forward.

        Returns:
            The context, or `Finished` where the forward returned before its blocks.
        """
        context: CacheContext | Finished = self._within(module, args, kwargs, self._extract)
        if self._decorated is None or isinstance(context, Finished):
            return context
        blocks, postprocess = context.run_transformer_blocks, context.postprocess
        return replace(
            context,
            run_transformer_blocks=lambda: self._within(module, args, kwargs, lambda *a, **k: blocks()),
            postprocess=lambda *live: self._within(module, args, kwargs, lambda *a, **k: postprocess(*live)),
        )

    def _within(
        self, module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], phase: Phase
    ) -> Any:
        if self._decorated is None:
            return phase(module, *args, **kwargs)
        token = _phase.set(phase)
        try:
            return self._decorated(module, *args, **kwargs)
        finally:
            _phase.reset(token)
