"""TeaCache in a transformer that is compiled as a whole: `torch.compile(transformer)` or `transformer.compile()`.

What TeaCache does between the parts of a forward is Python that decides by numbers: nothing for a compiler. The parts
are what comes before the blocks, the blocks, and what comes after them. Each is compiled as the transformer would be,
by the same backend with the same settings.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, cast

from torch._C._dynamo.eval_frame import set_eval_frame
from torch._dynamo.decorators import skip

REASON = (
    "TeaCache decides at each step whether the transformer's blocks run, so that there is no full graph of it. Compile "
    "the blocks instead, transformer.compile_repeated_blocks(fullgraph=True), or the transformer without "
    "fullgraph=True. To export it, take TeaCache off first: teaspec.disable(transformer)"
)

_compiler: ContextVar[Any] = ContextVar("teaspec_compiler", default=None)


def between_parts(function: Callable[..., Any]) -> Callable[..., Any]:
    """Keeps a function, and all that it calls, from being compiled, but for what it runs by `part`."""

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        compiler = set_eval_frame(None)
        token = _compiler.set(compiler)
        try:
            return function(*args, **kwargs)
        finally:
            _compiler.reset(token)
            set_eval_frame(compiler)

    skipped: Any = skip(run)
    skipped._torchdynamo_disable_msg = REASON
    return cast(Callable[..., Any], skipped)


def runs_compiled() -> bool:
    """Returns whether the parts of this call are compiled."""
    return _compiler.get() is not None


def part(function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
    """Calls a function, compiled where the call of the transformer is."""
    compiler = _compiler.get()
    if compiler is None:
        return function(*args, **kwargs)
    set_eval_frame(compiler)
    try:
        return function(*args, **kwargs)
    finally:
        set_eval_frame(None)
