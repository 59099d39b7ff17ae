"""Memory that the process keeps, so that times are those of the model and not of the allocator."""

from __future__ import annotations

import ctypes
import platform

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
"""Names and numbers of glibc's malloc.h."""

_LARGEST = 2**31 - 1


def keep_freed_memory() -> None:
    """Has the allocator keep what is freed, for the rest of the process; does nothing where the C library is not glibc.

    By itself glibc hands the end of its heap back to the system whenever enough of it is free, and the next tensor
    there costs a page fault for every 4 KiB. Whether that happens at each step hangs on where tensors lie, not on how
    much work is done: the digits model at 64 images with guidance took 98,000 faults, a third of its time, in the
    generations of one process and none in those of another, cached or not. See mallopt(3).
    """
    if platform.libc_ver()[0] != "glibc":
        return
    mallopt = ctypes.CDLL(None).mallopt
    mallopt(_TRIM_THRESHOLD, _LARGEST)
    mallopt(_MMAP_MAX, 0)
