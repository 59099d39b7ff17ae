"""Many generations at once on one transformer."""

from __future__ import annotations

import random
import threading

import torch

import teaspec
from tests.runtime.denoising import Denoiser, equal

THREADS = 8
GENERATIONS = 20


def test_interleaved_generations_in_eight_threads_equal_a_serial_run() -> None:
    denoiser = Denoiser.make("flux", max_sessions=THREADS * GENERATIONS)
    alone = Denoiser.make("flux")
    serial = {seed: alone.generate(seed) for seed in range(THREADS * GENERATIONS)}
    outputs: dict[int, list[torch.Tensor]] = {seed: [] for seed in serial}
    failures: list[BaseException] = []
    start = threading.Barrier(THREADS)

    def work(thread: int) -> None:
        order = random.Random(thread)
        running = {seed: denoiser.calls(seed) for seed in range(thread, THREADS * GENERATIONS, THREADS)}
        try:
            start.wait()
            while running:
                seed = order.choice(list(running))
                with teaspec.session(seed):
                    output = next(running[seed], None)
                if output is None:
                    del running[seed]
                else:
                    outputs[seed].append(output)
        except BaseException as failure:
            failures.append(failure)

    threads = [threading.Thread(target=work, args=(thread,)) for thread in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert [seed for seed in serial if not equal(outputs[seed], serial[seed])] == []
    counts = [sum(one.reused for one in session.log.current.counts.values()) for session in denoiser.hook.sessions.all]
    assert len(counts) == THREADS * GENERATIONS
    assert all(counts)
