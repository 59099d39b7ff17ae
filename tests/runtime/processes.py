"""Runs a function in processes of one group, on the loopback interface; ranks that wait in vain fail a test."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

PATIENCE = timedelta(seconds=120)
"""How long a collective waits for a rank that does not come."""

START = 400
"""Seconds for the processes to start, import torch and diffusers, and be done."""


def run_ranks(function: Callable[..., Any], size: int, folder: Path, *args: Any, seconds: float = START) -> list[Any]:
    """Runs `function(rank, *args)` in `size` processes that are a gloo group, and returns what each of them returned.

    Args:
        function: A function of a module; processes are spawned and import it. What it returns has to be something that
            `torch.save` takes.
        size: The number of processes.
        folder: An empty folder for the meeting point and the results.
        *args: Handed to the function behind the rank.
        seconds: After so long the ranks are taken to be waiting for each other.

    Raises:
        AssertionError: If they are not done by then.
        torch.multiprocessing.ProcessRaisedException: If one of them raised; it has that one's traceback.
    """
    context = torch.multiprocessing.spawn(_run, (function, size, str(folder), args), size, join=False)
    deadline = time.monotonic() + seconds
    try:
        while not context.join(timeout=max(0.0, deadline - time.monotonic())):
            assert time.monotonic() < deadline, f"{size} ranks are not done after {seconds} s: a deadlock"
    finally:
        for process in context.processes:
            process.kill()
    return [torch.load(folder / f"{rank}.pt", weights_only=False) for rank in range(size)]


def _run(rank: int, function: Callable[..., Any], size: int, folder: str, args: tuple[Any, ...]) -> None:
    torch.set_num_threads(1)
    os.environ["GLOO_SOCKET_IFNAME"] = "lo"
    meeting_point = f"file://{folder}/meeting"
    dist.init_process_group("gloo", init_method=meeting_point, rank=rank, world_size=size, timeout=PATIENCE)
    torch.save(function(rank, *args), Path(folder, f"{rank}.pt"))
    # Not after an exception: the others would fail, too, and perhaps be heard first.
    dist.destroy_process_group()
