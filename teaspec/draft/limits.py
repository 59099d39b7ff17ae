"""A bound on what a wrong guess may cost."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

try:
    import resource
except ImportError:  # there is none on Windows, and nothing in its place
    resource = None  # type: ignore[assignment]

_ROOM = 4 << 30


@contextmanager
def little_memory() -> Iterator[None]:
    """Within it, an allocation that goes beyond a few gigabytes more fails, in place of bringing the machine down.

    A width that is taken for a length makes an attention matrix of any size.
    """
    if resource is None:
        yield
        return
    before = resource.getrlimit(resource.RLIMIT_AS)
    wished = _mapped() + _ROOM
    resource.setrlimit(resource.RLIMIT_AS, (wished if before[1] < 0 else min(wished, before[1]), before[1]))
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
