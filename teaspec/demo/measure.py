"""The measurements: uncached and cached generations in turn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor

from teaspec.demo.result import Cached, Comparison, StepFlops, Uncached
from teaspec.demo.settings import Setting
from teaspec.demo.subject import Subject
from teaspec.pictures.nearness import psnr
from teaspec.runtime.rules.record import Decision
from teaspec.spread import Spread

Report = Callable[[str], None]


@dataclass(frozen=True, eq=False)
class _Observed:
    """One generation at a setting: what was made, and what was decided in each branch."""

    made: Tensor
    branches: dict[str, tuple[Decision, ...]]


def compare(subject: Subject, guidance: float, flops: StepFlops, report: Report) -> Comparison:
    """Measures uncached generations and those at each setting, interleaved.

    The first generation of each kind warms up and shows results and decisions; the timed ones follow in rounds
    (uncached, first setting, second, ..., uncached, ...), so that a drift of the machine's speed meets all of them.

    Args:
        subject: What is run.
        guidance: Scale of true CFG.
        flops: What a call costs.
        report: Told what is being done.
    """
    settings = subject.settings
    what = "with guidance" if guidance > 1 else "without guidance"
    report(f"{what}: looking")
    expected = subject.generate(guidance)
    observed = [observe(subject, guidance, setting) for setting in settings.cached]
    plain: list[float] = []
    cached: list[list[float]] = [[] for _ in settings.cached]
    for number in range(1, settings.rounds + 1):
        report(f"{what}: timing, round {number} of {settings.rounds}")
        plain.append(subject.time(guidance))
        for setting, seconds in zip(settings.cached, cached, strict=True):
            with subject.hooked(setting):
                seconds.append(subject.time(guidance))
    uncached = Uncached(guidance, expected, subject.model.recognised(expected), Spread.of(plain))
    return Comparison(
        uncached,
        tuple(
            _cached(subject, setting, one, expected, seconds, plain, flops)
            for setting, one, seconds in zip(settings.cached, observed, cached, strict=True)
        ),
    )


def observe(subject: Subject, guidance: float, setting: Setting) -> _Observed:
    """Generates once at a setting and returns what was made and what was decided.

    Raises:
        RuntimeError: If the hook saw no step.
    """
    with subject.hooked(setting) as hook:
        made = subject.generate(guidance)
    # The pipeline resets the hook when it is done; the record of the generation outlives that.
    if hook.last_generation is None:
        raise RuntimeError("the pipeline ran without calling the hooked transformer")
    decisions = hook.last_generation.decisions
    names = dict.fromkeys(one.branch for one in decisions)
    return _Observed(made, {name: tuple(one for one in decisions if one.branch == name) for name in names})


def _cached(
    subject: Subject,
    setting: Setting,
    observed: _Observed,
    expected: Tensor,
    seconds: list[float],
    plain: list[float],
    flops: StepFlops,
) -> Cached:
    steps = [step.decision for branch in observed.branches.values() for step in branch]
    spent = sum(flops.full if step == "compute" else flops.reused for step in steps)
    return Cached(
        setting=setting,
        branches=observed.branches,
        made=observed.made,
        accuracy=subject.model.recognised(observed.made),
        psnr=psnr(observed.made, expected),
        seconds=Spread.of(seconds),
        time_ratio=Spread.of(one / base for one, base in zip(seconds, plain, strict=True)),
        flop_ratio=spent / (len(steps) * flops.full),
    )
