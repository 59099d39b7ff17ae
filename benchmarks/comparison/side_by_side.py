"""Jobs side by side, each in a process with cores of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any, TypeVar

import torch

Asked = TypeVar("Asked")
Found = TypeVar("Found")


def side_by_side(job: Callable[[Asked], Found], asked: Sequence[Asked]) -> list[Found]:
    """Returns what a job finds for each of what is asked, in their order.

    No two use a core at the same time, so none is timed while another uses its cores. With one core, or where one
    thing is asked, they are done here, one after the other.

    Args:
        job: What is done; it goes into other processes, as what it returns comes back from them.
        asked: What it is done for, the longest first.
    """
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    workers = min(len(asked), len(cores))
    if workers < 2:
        return [job(one) for one in asked]
    context = get_context("spawn")
    shares = context.SimpleQueue()
    each = len(cores) // workers
    for number in range(workers):
        shares.put(cores[number * each : (number + 1) * each])
    with ProcessPoolExecutor(workers, context, _take_cores, (shares,)) as pool:
        return list(pool.map(job, asked))


def _take_cores(shares: Any) -> None:
    cores = shares.get()
    os.sched_setaffinity(0, cores)
    torch.set_num_threads(len(cores))
