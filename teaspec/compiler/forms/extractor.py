"""A compiled extractor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from teaspec.compiler.forms.arguments import CallArguments
from teaspec.compiler.forms.functions import FindReplaced, FunctionsRead
from teaspec.compiler.forms.program import Program


class GeneratedExtractor(Protocol):
    """What the generated text defines as `extractor`."""

    def __call__(self, module: Any, *args: Any, **kwargs: Any) -> Any:
        """Cuts one call of the model's forward."""

    def enter(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], drive: Callable[[Any], Any]) -> Any:
        """Runs `drive` on the context of a call, inside the decorators of the forward."""


class CompiledExtractor:
    """An extractor that the compiler made, with what it was made from.

    Attributes:
        source: The generated Python.
        program: What was cut where.
        live: The names that cross from blocks to postlude, the hidden stream first.
        file: The name under which tracebacks show the generated source.
        timestep: The forward's parameters of which the first that a call passes, and not as None, is its timestep.
            Empty where nothing is known.
        varying: Those that the caller makes anew at each step besides the timestep.
        bypass: Which send a call past the cache, as the spec writes it.
    """

    def __init__(
        self,
        source: str,
        program: Program,
        file: str,
        generated: GeneratedExtractor,
        functions: FunctionsRead | None = None,
    ) -> None:
        """Joins the loaded extractor with its source, its program and the functions that it was compiled from."""
        self.source = source
        self.program = program
        self.live = tuple(value.name for value in program.live)
        self.file = file
        arguments = program.arguments or CallArguments((), ())
        self.timestep, self.varying, self.bypass = arguments.timestep, arguments.varying, arguments.bypass
        self._generated = generated
        self._functions = functions

    def is_current(self, module: Any, replaced: FindReplaced | None = None) -> bool:
        """Whether a module would still be compiled from the same functions. Compares identities, in microseconds.

        Not so where a method was replaced since, on its class or on the instance: its forward, a helper, the forward of
        a block on the way to the first norm, a plain function beside them.

        Args:
            module: An instance of the class that the extractor was made for.
            replaced: Gives the forward that was set on a module in place of its class's, None where none was. Left out,
                the one that the extractor was compiled with: it takes a wrapper around a hook for a forward.
        """
        return self._functions is None or self._functions.are_current(module, replaced)

    def __call__(self, module: Any, *args: Any, **kwargs: Any) -> Any:
        """Cuts one call of the model's forward.

        Args:
            module: The model that is called.
            *args: Positional arguments of the forward.
            **kwargs: Keyword arguments of the forward.

        Returns:
            The `CacheContext` (or `Finished`, where the forward returned before its blocks).
        """
        return self._generated(module, *args, **kwargs)

    def enter(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], drive: Callable[[Any], Any]) -> Any:
        """Runs `drive` on the context of a call, inside the decorators of the forward: entered once, left once.

        Args:
            module: The model that is called.
            args: Positional arguments of the forward.
            kwargs: Keyword arguments of the forward.
            drive: Takes the context to the call's result.
        """
        return self._generated.enter(module, args, kwargs, drive)

    def __repr__(self) -> str:
        return f"<extractor of {self.program.class_name}, live: {', '.join(self.live)}>"
