"""A comparison from a job to what it found: uncached and cached generations in turn."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from statistics import mean
from typing import Any

from torch import Tensor

from teaspec.compare.hearing import heard_once
from teaspec.compare.job import Job, Motif
from teaspec.compare.perceptual import Lpips, find_lpips
from teaspec.compare.result import Comparison, Measured, Nearness, Outcome, Shown
from teaspec.compare.settings import Setting
from teaspec.compare.shot import GenerationError, Shot, shoot
from teaspec.pictures.nearness import psnr, ssim
from teaspec.pictures.strips import evenly, within
from teaspec.runtime.pipeline.apply import find_teacache_hook
from teaspec.runtime.pipeline.pipelines import hooked_modules, modules_of
from teaspec.runtime.pipeline.selection import enabled
from teaspec.spread import Spread

SHOWN_MOTIFS, SHOWN_FRAMES, SHOWN_SIDE = 8, 6, 512
"""Pictures of so many motifs are shown, so many frames of each video, at most so many pixels wide and high."""


def compare(job: Job, done: Callable[[], None] = lambda: None) -> Comparison:
    """Generates each motif without a cache and with each setting, and measures.

    The first generation warms up, and is repeated later: so it is known whether the pipeline repeats itself at all.
    The motifs follow in turn, the uncached generation now first, now last, so that a drift of the machine's speed meets
    all settings alike. Behind it the pipeline is as it was.

    Args:
        job: What is compared.
        done: Called after each generation.

    Raises:
        TypeError: If the pipeline can hold no transformer.
        ValueError: If it has none with a spec, or TeaCache or another cache is on already.
        GenerationError: If a generation fails.
    """
    pipeline, motifs = job.source.pipeline, job.motifs
    heard: set[str] = set()
    transformers = _hookable(job, heard)
    lpips, without_lpips = find_lpips()
    with _silent(pipeline):
        first = shoot(job, motifs[0], None, heard)
        done()
        repeats, plain, shown = 0.0, [], []
        outcomes: list[list[Outcome]] = [[] for _ in job.settings]
        for number, motif in enumerate(motifs):
            uncached, cached = _round(job, motif, bool(number % 2), heard, done)
            plain.append(uncached.seconds)
            if number == 0:
                repeats = _nearness(uncached, first, None, motif, None).psnr
            for setting, shot, found in zip(job.settings, cached, outcomes, strict=True):
                near = _nearness(shot, uncached, lpips, motif, setting)
                found.append(Outcome(motif, shot.seconds, shot.seconds / uncached.seconds, near, shot.branches))
            if number < SHOWN_MOTIFS:
                shown.append(Shown(motif, _looked_at(uncached), tuple(map(_looked_at, cached))))
    return Comparison(
        name=job.name,
        pipeline=type(pipeline).__name__,
        transformers=transformers,
        device=_device(pipeline),
        arguments=job.arguments,
        motifs=motifs,
        measured=tuple(Measured(one, tuple(found)) for one, found in zip(job.settings, outcomes, strict=True)),
        seconds=Spread.of(plain),
        repeats=repeats,
        without_lpips=without_lpips,
        shown=tuple(shown),
    )


def _hookable(job: Job, heard: set[str]) -> dict[str, str]:
    """The transformers that each setting can be applied to, before the first generation."""
    pipeline = job.source.pipeline
    hooked = [name for name, module in modules_of(pipeline).items() if find_teacache_hook(module) is not None]
    if hooked:
        raise ValueError(
            f"TeaCache is on already for {', '.join(hooked)}; a comparison needs the pipeline without: leave "
            f"teaspec.enable out of what returns it"
        )
    found: dict[str, str] = {}
    for setting in job.settings:
        with heard_once(heard), enabled(pipeline, **setting.arguments):
            found = {name: type(module).__name__ for name, module in hooked_modules(pipeline).items()}
    return found


def _round(
    job: Job, motif: Motif, uncached_last: bool, heard: set[str], done: Callable[[], None]
) -> tuple[Shot, list[Shot]]:
    order: list[Setting | None] = [None, *job.settings]
    shots: dict[Setting | None, Shot] = {}
    for setting in reversed(order) if uncached_last else order:
        shots[setting] = shoot(job, motif, setting, heard)
        done()
    return shots[None], [shots[setting] for setting in job.settings]


def _nearness(shot: Shot, expected: Shot, lpips: Lpips | None, motif: Motif, setting: Setting | None) -> Nearness:
    pairs = list(zip(shot.clips, expected.clips, strict=False))
    shapes = [[tuple(clip.shape) for clip in one.clips] for one in (shot, expected)]
    if shapes[0] != shapes[1]:
        name = "uncached" if setting is None else setting.label
        raise GenerationError(
            f"seed {motif.seed}, prompt {motif.prompt!r}: the pictures of two generations differ in number or size "
            f"({name}: {shapes[0]}, uncached: {shapes[1]}); they cannot be compared"
        )
    return Nearness(
        psnr=mean(psnr(one[None], two[None]) for one, two in pairs),
        ssim=mean(ssim(one, two) for one, two in pairs),
        lpips=mean(lpips(one, two) for one, two in pairs) if lpips is not None else None,
    )


def _looked_at(shot: Shot) -> Tensor:
    return within(evenly(shot.clips[0], SHOWN_FRAMES), SHOWN_SIDE).clone()


def _device(pipeline: Any) -> str:
    modules: Sequence[Any] = list(modules_of(pipeline).values())
    devices = dict.fromkeys(str(weight.device) for module in modules for weight in module.parameters())
    return ", ".join(devices)


@contextmanager
def _silent(pipeline: Any) -> Iterator[None]:
    """Within it a pipeline of diffusers draws no bar of its own."""
    told = hasattr(pipeline, "set_progress_bar_config")
    before = getattr(pipeline, "_progress_bar_config", None)
    if told:
        pipeline.set_progress_bar_config(**{**(before or {}), "disable": True})
    try:
        yield
    finally:
        if told and before is None:
            vars(pipeline).pop("_progress_bar_config", None)
        elif told:
            pipeline._progress_bar_config = before
