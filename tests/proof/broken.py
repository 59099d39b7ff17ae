"""Extractors that are wrong on purpose."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from torch import nn

from teaspec.compiler import compile_spec, load_spec
from teaspec.proof.properties import PROPERTIES
from teaspec.proof.result import PropertyResult
from teaspec.proof.run import prove
from teaspec.proof.subject import Subject
from teaspec.runtime.contract.context import CacheContext
from tests.proof.small import SPEC, SmallTransformer

Change = Callable[[CacheContext, nn.Module, dict[str, Any]], Any]


class Broken:
    """A compiled extractor whose contexts somebody changes."""

    def __init__(self, extractor: Any, change: Change) -> None:
        self._extractor = extractor
        self._change = change

    def __call__(self, module: nn.Module, *args: Any, **kwargs: Any) -> Any:
        return self._change(self._extractor(module, *args, **kwargs), module, kwargs)

    def enter(self, module: nn.Module, args: tuple, kwargs: dict, drive: Callable[[Any], Any]) -> Any:
        return self._extractor.enter(module, args, kwargs, lambda context: drive(self._change(context, module, kwargs)))


def outcome(
    name: str,
    change: Change | None = None,
    *,
    model: type[nn.Module] = SmallTransformer,
    examples: int = 40,
    seed: int = 0,
    text: str = SPEC,
) -> PropertyResult:
    """Tries one property on the small transformer, with its own extractor or with a changed one."""

    def compile_changed(spec: Any, module: nn.Module) -> Any:
        extractor = compile_spec(spec, module)
        return extractor if change is None else Broken(extractor, change)

    subject = Subject(load_spec(text), model, compile_changed)
    (item,) = (item for item in PROPERTIES if item.name == name)
    return prove(subject, item, examples=examples, seed=seed)


def with_output(context: CacheContext, change: Callable[[Any], Any]) -> CacheContext:
    """The context with a changed output."""
    original = context.postprocess
    return replace(context, postprocess=lambda *values: change(original(*values)))
