"""One job for each model, side by side, each in a process with cores of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import TypeVar

import torch

Found = TypeVar("Found")


def side_by_side(job: Callable[[str], Found], names: Sequence[str]) -> list[Found]:
    """Returns what a job finds for each name, in their order.

    Where there are cores enough, each gets as many as the others, so that none is timed while another uses its cores.

    Args:
        job: What is done; it goes into other processes, as what it returns comes back from them.
        names: What it is done for.
    """
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    each = len(cores) // len(names)
    if len(names) == 1 or each == 0:
        return [job(name) for name in names]
    with ProcessPoolExecutor(len(names), mp_context=get_context("spawn")) as pool:
        begun = [
            pool.submit(_on_cores, cores[number * each : (number + 1) * each], job, name)
            for number, name in enumerate(names)
        ]
        return [one.result() for one in begun]


def _on_cores(cores: Sequence[int], job: Callable[[str], Found], name: str) -> Found:
    os.sched_setaffinity(0, cores)
    torch.set_num_threads(len(cores))
    return job(name)
