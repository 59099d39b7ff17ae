"""The properties of an extractor, one function each.

A property takes the subject and one drawn example. It raises a `ViolationError` where it does not hold; any other
exception counts as a failure, too.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch

from teaspec.proof.compare import (
    ViolationError,
    require_close,
    require_equal,
    require_same_form,
    require_telling,
    same_value,
)
from teaspec.proof.hooked import ALWAYS_COMPUTE, ALWAYS_REUSE, call, hooked
from teaspec.proof.inputs import Arguments, Example
from teaspec.proof.reuse import reused_step_is_of_its_call
from teaspec.proof.subject import Subject
from teaspec.proof.watch import watch_signal
from teaspec.runtime.contract.assembly import PassedByError
from teaspec.runtime.contract.context import CacheContext, Finished

# A residual is a difference that is added back: three roundings of float32, and what the output head makes of them.
_ROUNDING = 1e-4


def forward_tells(subject: Subject, example: Example) -> None:
    """The model's own forward repeats itself, and its output could tell a wrong extractor from a right one."""
    uncached = subject.uncached(example)
    require_telling(uncached.output)
    require_equal(uncached.output, subject.call(example, subject.arguments(example)), "the forward called twice")


def context_validates(subject: Subject, example: Example) -> None:
    """The extractor returns a context whose `validate` passes."""
    if subject.goes_past(example):
        return  # nobody asks for the context of such a call
    arguments = subject.arguments(example)
    with torch.no_grad():
        context = subject.extractor(example)(subject.module(example), *arguments.args, **arguments.kwargs)
        if isinstance(context, Finished):
            return
        if not isinstance(context, CacheContext):
            raise ViolationError(f"the extractor returned a {type(context).__name__}, not a CacheContext")
        context.validate()


def split_is_exact(subject: Subject, example: Example) -> None:
    """Prelude, blocks and postlude together give the output of the forward, bit for bit."""
    uncached = subject.uncached(example)
    output = _split(subject, example, subject.arguments(example))
    if output is not _REFUSED:
        require_equal(uncached.output, output, "split against uncached")


def signal_is_the_models_own(subject: Subject, example: Example) -> None:
    """The value that decides is one that the uncached forward itself computes at that place, bit for bit."""
    module, arguments = subject.module(example), subject.arguments(example)
    with watch_signal(subject.spec, module) as watch:
        subject.call(example, subject.arguments(example))
    with torch.no_grad():
        context = subject.extractor(example)(module, *arguments.args, **arguments.kwargs)
    if isinstance(context, Finished) or not watch.block_ran:
        return
    if not watch.saw(context.modulated_input):
        shape = list(context.modulated_input.shape)
        is_received = subject.spec.signal in {"norm", "attention"}
        where = "no submodule behind the landmark receives" if is_received else "the forward has not"
        raise ViolationError(f"{where} a tensor equal to modulated_input {shape}")


def arguments_are_kept(subject: Subject, example: Example) -> None:
    """The caller's arguments are left as the forward leaves them."""
    expected, given = subject.uncached(example).arguments, subject.arguments(example)
    if _split(subject, example, given) is _REFUSED:
        return
    left, right = subject.by_name(expected), subject.by_name(given)
    if list(left) != list(right):
        raise ViolationError(f"the caller's arguments are {', '.join(right)}, the forward leaves {', '.join(left)}")
    for name in left:
        if not same_value(left[name], right[name]):
            raise ViolationError(f"the argument `{name}` is left in another state than the forward leaves it in")


def computed_step_is_exact(subject: Subject, example: Example) -> None:
    """With the hook on and nothing reused, two steps in a row equal the unhooked forward bit for bit."""
    steps = (example, replace(example, step=1))
    expected = [subject.uncached(step).output for step in steps]
    with hooked(subject, example, ALWAYS_COMPUTE) as module:
        for step, wanted in zip(steps, expected, strict=True):
            require_equal(wanted, call(module, subject.arguments(step)), "hooked and computed against unhooked")


def reused_step_runs_no_block(subject: Subject, example: Example) -> None:
    """A reused step runs no block, returns the right type, shapes and dtypes, and repeats a step on its inputs."""
    later = replace(example, step=1)
    needed = subject.uncached(example).blocks
    with subject.count_blocks(example) as count, hooked(subject, example, ALWAYS_REUSE) as module:
        computed = call(module, subject.arguments(example))
        _require_blocks(needed, count.take(), "the first step, which must be computed,")
        reused = call(module, subject.arguments(later))
        repeated = call(module, subject.arguments(example))
        _require_blocks(2 * needed if subject.goes_past(example) else 0, count.take(), "two steps to be reused")
    require_same_form(subject.uncached(later).output, reused)
    require_telling(reused)
    if example.dtype == torch.float32:
        require_close(computed, repeated, "the same inputs, computed and then reused", _ROUNDING)


def removal_restores(subject: Subject, example: Example) -> None:
    """The hook keeps the signature of the forward, and removing it gives back the original forward."""
    module = subject.module(example)
    expected = subject.uncached(example).output
    before, signature = module.forward, inspect.signature(module.forward)
    with hooked(subject, example, ALWAYS_REUSE):
        if inspect.signature(module.forward) != signature:
            raise ViolationError(f"hooked, the forward has the signature {inspect.signature(module.forward)}")
        call(module, subject.arguments(example))
    if module.forward != before:
        raise ViolationError("after the removal the module's forward is not the original")
    require_equal(expected, subject.call(example, subject.arguments(example)), "after the removal")


@dataclass(frozen=True)
class Property:
    """A property with its short name.

    Attributes:
        name: What the report calls it.
        holds: Raises for an example that breaks it. Its docstring is the claim.
    """

    name: str
    holds: Callable[[Subject, Example], None]

    @property
    def claim(self) -> str:
        """The property in one sentence."""
        return inspect.cleandoc(self.holds.__doc__ or "")


PROPERTIES = (
    Property("forward", forward_tells),
    Property("validate", context_validates),
    Property("exact", split_is_exact),
    Property("signal", signal_is_the_models_own),
    Property("arguments", arguments_are_kept),
    Property("computed", computed_step_is_exact),
    Property("reused", reused_step_runs_no_block),
    Property("reuse", reused_step_is_of_its_call),
    Property("removed", removal_restores),
)


_REFUSED = object()
"""What `_split` returns where the extractor says that nobody should have asked it."""


def _split(subject: Subject, example: Example, arguments: Arguments) -> Any:
    """Runs the extractor as the hook does on a computed step, without the hook."""
    module, extractor = subject.module(example), subject.extractor(example)
    enter = getattr(extractor, "enter", None)
    with torch.no_grad():
        try:
            if enter is not None:
                return enter(module, arguments.args, arguments.kwargs, _run)
            return _run(extractor(module, *arguments.args, **arguments.kwargs))
        except PassedByError:
            if subject.goes_past(example):
                return _REFUSED
            raise


def _run(context: CacheContext | Finished) -> Any:
    if isinstance(context, Finished):
        return context.value
    values = context.run_transformer_blocks()
    return context.postprocess(*(values if "live" in (context.extra_states or {}) else values[:1]))


def _require_blocks(expected: int, actual: int, what: str) -> None:
    if actual != expected:
        raise ViolationError(f"{what} ran {actual} blocks, expected {expected}")
