"""One generation: its pictures, its time, and what was decided at each step."""

from __future__ import annotations

import gc
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from time import perf_counter

from torch import Tensor, nn

from teaspec.compare.hearing import heard_once
from teaspec.compare.job import Job, Motif
from teaspec.compare.settings import Setting
from teaspec.pictures.clips import clips_of
from teaspec.runtime.pipeline.pipelines import modules_of
from teaspec.runtime.pipeline.selection import enabled
from teaspec.runtime.rules.record import Decision


class GenerationError(RuntimeError):
    """A generation of the user's pipeline failed."""


@dataclass(frozen=True)
class Decided:
    """One step of a branch, and what was decided about it.

    Attributes:
        transformer: What the pipeline calls it.
        decision: What was decided.
    """

    transformer: str
    decision: Decision

    @property
    def is_computed(self) -> bool:
        """Whether the blocks ran."""
        return self.decision.decision == "compute"


@dataclass(frozen=True, eq=False)
class Shot:
    """One generation.

    Attributes:
        clips: What came out; an image is a clip of one frame.
        seconds: Wall time, until the pictures are in main memory.
        branches: What was decided in each branch, step by step, over all transformers; empty without a cache.
    """

    clips: tuple[Tensor, ...]
    seconds: float
    branches: dict[str, tuple[Decided, ...]]


def shoot(job: Job, motif: Motif, setting: Setting | None, heard: set[str]) -> Shot:
    """Makes one generation.

    Args:
        job: The pipeline and its arguments.
        motif: Prompt and seed.
        setting: With which cache; None for none.
        heard: What was logged before about hooking this pipeline.

    Raises:
        GenerationError: If the pipeline fails, returns no pictures, or never calls a transformer that is cached.
    """
    pipeline = job.source.pipeline
    told: list[tuple[nn.Module, Decision]] = []
    where = f"{'uncached' if setting is None else setting.label}, seed {motif.seed}, prompt {motif.prompt!r}"
    with ExitStack() as stack:
        # Compiling an extractor is no part of a generation, and neither is the garbage of the one before.
        if setting is not None:
            with heard_once(heard):
                stack.enter_context(enabled(pipeline, **setting.arguments, on_decision=_into(told)))
        gc.collect()
        try:
            started = perf_counter()
            clips = clips_of(job.source.run(motif.prompt, seed=motif.seed, **job.arguments))
            seconds = perf_counter() - started
        except Exception as error:
            raise GenerationError(f"a generation failed ({where}): {type(error).__name__}: {error}") from error
    if setting is not None and not told:
        raise GenerationError(f"the pipeline ran without calling a transformer that TeaCache is on for ({where})")
    names = {id(module): name for name, module in modules_of(pipeline).items()}
    branches: dict[str, list[Decided]] = {}
    for module, decision in told:
        branches.setdefault(decision.branch, []).append(Decided(names[id(module)], decision))
    return Shot(tuple(clips), seconds, {name: tuple(steps) for name, steps in branches.items()})


def _into(told: list[tuple[nn.Module, Decision]]) -> Callable[[nn.Module, Decision], None]:
    return lambda module, decision: told.append((module, decision))
