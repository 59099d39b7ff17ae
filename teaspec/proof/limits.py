"""Bounds on what a model may cost that is meant to be tiny: the spec may be wrong, or a stranger's."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from torch import nn
from torch.nn.modules.module import register_module_parameter_registration_hook

try:
    import resource
except ImportError:  # there is none on Windows, and nothing in its place
    resource = None  # type: ignore[assignment]

_ROOM = 4 << 30

MAX_PARAMETERS = 4_000
"""Tensors, of which each block has some tens."""

MAX_NUMBERS = 2**26
"""In all of them: 256 MiB in float32."""


class TooLargeError(Exception):
    """A model has more parameters than a tiny instance needs."""


@contextmanager
def few_parameters() -> Iterator[None]:
    """Within it, a model that this thread builds ends with an error as soon as it is no tiny one.

    Raises:
        TooLargeError: It has more parameters than `MAX_PARAMETERS`, or more numbers in them than `MAX_NUMBERS`.
    """
    thread, parameters, numbers = threading.get_ident(), 0, 0

    def count(_module: nn.Module, _name: str, parameter: nn.Parameter | None) -> None:
        nonlocal parameters, numbers
        if threading.get_ident() != thread or parameter is None:
            return
        parameters, numbers = parameters + 1, numbers + parameter.numel()
        if parameters > MAX_PARAMETERS or numbers > MAX_NUMBERS:
            raise TooLargeError(
                f"it would have more than {MAX_PARAMETERS} parameters, or {MAX_NUMBERS} numbers in them; "
                "the instance of a probe is a tiny one"
            )

    handle = register_module_parameter_registration_hook(count)
    try:
        yield
    finally:
        handle.remove()


@contextmanager
def little_memory(room: int = _ROOM) -> Iterator[None]:
    """Within it, an allocation that goes beyond what is there by more fails, in place of bringing the machine down.

    A width that is taken for a length makes an attention matrix of any size.

    Args:
        room: How much more, in bytes.
    """
    if resource is None:
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_AS)
    wished = _mapped() + room
    limits = [limit for limit in (wished, *before) if limit >= 0]  # a limit below 0 is none
    resource.setrlimit(resource.RLIMIT_AS, (min(limits), before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def _mapped() -> int:
    """How much address space the process has by now, as far as the system says."""
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * resource.getpagesize()
    except OSError:
        return 1 << 40  # nobody knows: no bound to speak of
