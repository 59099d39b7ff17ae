"""All specs of a run, in one process or spread over several."""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import wait
from pathlib import Path

from teaspec.batch.checked import Checked
from teaspec.batch.checker import Checker, Settings
from teaspec.batch.worker import Worker

Progress = Callable[[int, str], None]
"""Told how many specs are done, and what is going on."""

# A process imports torch and diffusers, and so does its second interpreter, in the time that a few specs take.
_WORTH_A_PROCESS = 4


def check_files(paths: Sequence[Path], settings: Settings, jobs: int | None, progress: Progress) -> Iterator[Checked]:
    """Checks specs, in several processes where there are enough of them; results keep the order of the paths.

    Args:
        paths: Their files.
        settings: How they are checked.
        jobs: How many processes do it side by side; None for as many as there are cores, if there is enough to do.
        progress: Told what is going on.

    Yields:
        One result for each path, in their order, as soon as it and those before it are there.
    """
    if jobs is None:
        jobs = min(_cores(), math.ceil(len(paths) / _WORTH_A_PROCESS))
    if jobs <= 1 or len(paths) == 1:
        yield from _one_by_one(paths, settings, progress)
        return
    done: dict[int, Checked] = {}
    shown = 0
    for number, result in _side_by_side(paths, settings, min(jobs, len(paths)), progress):
        done[number] = result
        while shown in done:
            yield done.pop(shown)
            shown += 1


def _one_by_one(paths: Sequence[Path], settings: Settings, progress: Progress) -> Iterator[Checked]:
    with Checker(settings) as checker:
        for number, path in enumerate(paths):
            progress(number, str(path))
            yield checker.check(path, lambda name, path=path, number=number: progress(number, f"{path}: {name}"))  # type: ignore[misc]


def _side_by_side(
    paths: Sequence[Path], settings: Settings, jobs: int, progress: Progress
) -> Iterator[tuple[int, Checked]]:
    """Yields results with the numbers of their paths, in the order in which they are done."""
    waiting = deque(enumerate(paths))
    busy: dict[int, Worker] = {}
    idle: list[Worker] = []
    try:
        while waiting or busy:
            while waiting and len(busy) < jobs:
                number, path = waiting.popleft()
                busy[number] = idle.pop() if idle else Worker(settings)
                busy[number].send(path)
            progress(len(paths) - len(waiting) - len(busy), ", ".join(worker.path.stem for worker in busy.values()))
            ready = wait([worker.connection for worker in busy.values()])
            for number in [number for number, worker in busy.items() if worker.connection in ready]:
                worker = busy[number]
                result = worker.receive()
                del busy[number]
                if worker.lives:
                    idle.append(worker)
                else:
                    worker.stop()
                yield number, result
    finally:
        workers = [*busy.values(), *idle]
        for worker in workers:
            worker.terminate()
        for worker in workers:
            worker.stop()


def _cores() -> int:
    """The cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
