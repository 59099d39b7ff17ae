"""A calibration from prompts to findings."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from torch import nn

from teaspec.calibrate.collect import collecting
from teaspec.calibrate.fit import Fit, fit_pairs
from teaspec.calibrate.gain import Weighed, Weighing, find_gain
from teaspec.calibrate.pairs import Pairs
from teaspec.calibrate.plans import Planning, Search, find_plans, sourced
from teaspec.calibrate.thresholds import Threshold, find_thresholds
from teaspec.calibrate.trials import Settings, Trials
from teaspec.calibrate.verify import verify
from teaspec.pipelines.load import Source
from teaspec.runtime.calibrations.calibration import Accumulate
from teaspec.runtime.calibrations.registry import find_defaults, find_type
from teaspec.runtime.pipeline.pipelines import modules_of

Done = Callable[[], None]


@dataclass(frozen=True, eq=False)
class Job:
    """The generations of one process: which prompts, from which noise, with what.

    Attributes:
        source: The pipeline.
        transformer: The one whose distances are collected.
        prompts: All prompts, also those of other processes.
        seed: Seed of the first; the others count on, so that no two processes make the same generation.
        arguments: Further arguments of the pipeline.
        rank: This process's number.
        ranks: How many processes share the prompts.
    """

    source: Source
    transformer: nn.Module
    prompts: Sequence[str]
    seed: int
    arguments: dict[str, Any]
    rank: int = 0
    ranks: int = 1

    @property
    def numbers(self) -> range:
        """The prompts that are this process's."""
        return range(self.rank, len(self.prompts), self.ranks)

    def generate(self, number: int) -> Any:
        """Runs the pipeline on one prompt; the same number always gives the same."""
        return self.source.run(self.prompts[number], seed=self.seed + number, **self.arguments)


@dataclass(frozen=True, eq=False)
class Findings:
    """What a calibration found.

    Attributes:
        pairs: What was collected.
        fit: The polynomial.
        accumulate: How rescaled distances are summed, as the transformer's spec says.
        thresholds: Settings worth trying.
        planning: Plans and a ranking, None where nobody asked for them.
        weighed: What a tolerance comes to, None where nobody asked for it.
    """

    pairs: Pairs
    fit: Fit
    accumulate: Accumulate
    thresholds: tuple[Threshold, ...]
    planning: Planning | None = None
    weighed: Weighed | None = None


def collect(job: Job, done: Done = lambda: None) -> Pairs:
    """Generates this process's prompts and collects the pairs.

    Args:
        job: What is generated.
        done: Called after each generation.

    Raises:
        ValueError: If the transformer cannot be hooked.
    """
    with collecting(job.transformer) as hook:
        for number in job.numbers:
            job.generate(number)
            done()
        return hook.pairs


def conclude(pairs: Pairs, order: int) -> Findings:
    """Fits the pairs and looks for thresholds.

    Args:
        pairs: What was collected.
        order: Degree of the polynomial.

    Raises:
        ValueError: If there are too few pairs for it.
    """
    fit = fit_pairs(pairs, order)
    defaults = find_defaults(pairs.transformer_type)
    accumulate = "signed" if defaults is None else defaults.accumulate
    return Findings(pairs, fit, accumulate, find_thresholds(pairs, fit.coefficients, accumulate))


def verified(findings: Findings, job: Job, count: int, done: Done = lambda: None) -> Findings:
    """Generates the first prompts uncached and at each of the thresholds, and measures what comes out.

    Args:
        findings: What was found.
        job: What is generated.
        count: How many prompts.
        done: Called after each generation.
    """
    count = min(count, len(job.prompts))
    coefficients, accumulate = findings.fit.coefficients, findings.accumulate
    measured = verify(job.generate, job.transformer, findings.thresholds, coefficients, accumulate, count, done)
    return replace(findings, thresholds=measured)


def parted(count: int, held_out: int | None) -> tuple[range, range]:
    """Returns the numbers of the prompts that plans are chosen by, and of those that they are judged by.

    Args:
        count: How many prompts there are.
        held_out: So many of the last are held out; None is a quarter of them.

    Raises:
        ValueError: If nothing is left on one side.
    """
    last = max(1, count // 4) if held_out is None else held_out
    if not 0 < last < count:
        raise ValueError(
            f"plans are chosen by some prompts and judged by others: of {count}, {last} cannot be held out; "
            + ("give more prompts" if count < 2 else f"hold out 1 to {count - 1}")
        )
    return range(count - last), range(count - last, count)


def planned(findings: Findings, job: Job, search: Search, source: str, done: Done = lambda: None) -> Findings:
    """Searches plans, and ranks rules and forecasts by the error on prompts that were held out.

    Args:
        findings: What was found.
        job: What is generated.
        search: What is looked for.
        source: What is run, as a spec has it.
        done: Called after each generation.

    Raises:
        ValueError: If the pipeline has several transformers, or a budget is more than it has steps.
    """
    trials = _trials(job, done, "plans are found")
    thresholds = partial(_threshold_for, findings)
    return replace(findings, planning=sourced(find_plans(trials, replace(search, thresholds=thresholds)), source))


def weighed(findings: Findings, job: Job, weighing: Weighing, source: str, done: Done = lambda: None) -> Findings:
    """Measures what tolerances come to, and judges that by prompts that were held out.

    Args:
        findings: What was found.
        job: What is generated.
        weighing: What is run.
        source: The same in words, as a spec has it.
        done: Called after each generation.

    Raises:
        ValueError: If the pipeline has several transformers, or nothing is reused.
    """
    return replace(findings, weighed=find_gain(_trials(job, done, "tolerances are measured"), weighing, source))


def _trials(job: Job, done: Done, what: str) -> Trials:
    transformers = [one for one in modules_of(job.source.pipeline).values() if find_type(type(one)) is not None]
    if len(transformers) != 1:
        raise ValueError(f"{what} for pipelines with one transformer, and this one has {len(transformers)}")
    return Trials(job.source.pipeline, job.generate, done=done, steps=job.arguments["num_inference_steps"])


def _threshold_for(findings: Findings, reused: float) -> Settings | None:
    """The threshold that reuses a share of the steps on the collected distances."""
    coefficients, accumulate = findings.fit.coefficients, findings.accumulate
    found = find_thresholds(findings.pairs, coefficients, accumulate, [reused])
    if not found:
        return None
    return {"rel_l1_thresh": found[0].value, "coefficients": list(coefficients), "accumulate": accumulate}
