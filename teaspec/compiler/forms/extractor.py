"""A compiled extractor."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from teaspec.compiler.forms.program import Program


class GeneratedExtractor(Protocol):
    """What the generated text defines as `extractor`."""

    def __call__(self, module: Any, *args: Any, **kwargs: Any) -> Any:
        """Cut one call of the model's forward."""

    def enter(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], drive: Callable[[Any], Any]) -> Any:
        """Run `drive` on the context of a call, inside the decorators of the forward."""


class CompiledExtractor:
    """An extractor that the compiler made, with what it was made from.

    Attributes:
        source: The generated Python.
        program: What was cut where.
        live: The names that cross from blocks to postlude, the hidden stream first.
        file: The name under which tracebacks show the generated source.
    """

    def __init__(self, source: str, program: Program, file: str, generated: GeneratedExtractor) -> None:
        """Joins the loaded extractor with its source and program."""
        self.source = source
        self.program = program
        self.live = tuple(value.name for value in program.live)
        self.file = file
        self._generated = generated

    def __call__(self, module: Any, *args: Any, **kwargs: Any) -> Any:
        """Cut one call of the model's forward.

        Args:
            module: The model.
            *args: Positional arguments of the forward.
            **kwargs: Keyword arguments of the forward.

        Returns:
            The `CacheContext` (or `Finished`, where the forward returned before its blocks).
        """
        return self._generated(module, *args, **kwargs)

    def enter(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any], drive: Callable[[Any], Any]) -> Any:
        """Run `drive` on the context of a call, inside the decorators of the forward: entered once, left once.

        Args:
            module: The model.
            args: Positional arguments of the forward.
            kwargs: Keyword arguments of the forward.
            drive: Takes the context to the call's result.
        """
        return self._generated.enter(module, args, kwargs, drive)

    def __repr__(self) -> str:
        return f"<extractor of {self.program.class_name}, live: {', '.join(self.live)}>"
