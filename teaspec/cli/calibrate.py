"""`teaspec calibrate`: coefficients for a transformer, from generations of a pipeline."""

from __future__ import annotations

import json
import math
import os
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from teaspec.cli.files import require_readable
from teaspec.cli.forecasts import forecasts_of, number_of
from teaspec.cli.refusals import refusals_shown, refuse
from teaspec.cli.root import EXIT_FAILED, Debug, Format, app, get_console
from teaspec.cli.running import Device, Dtype, Set, find_dtype, named_values, progress, prompts_of, refused

if TYPE_CHECKING:
    from teaspec.calibrate.choosing import Added
    from teaspec.calibrate.gain import Weighing
    from teaspec.calibrate.pairs import Pairs
    from teaspec.calibrate.plans import Search
    from teaspec.calibrate.run import Findings, Job


@app.command()
def calibrate(
    pipeline: Annotated[
        str | None, typer.Argument(show_default=False, help="module:function, or a folder of a diffusers pipeline.")
    ] = None,
    prompts: Annotated[Path | None, typer.Argument(show_default=False, help="A file of prompts, one a line.")] = None,
    transformer: Annotated[
        str | None, typer.Option(show_default=False, help="Which transformer, where there are several.")
    ] = None,
    steps: Annotated[int, typer.Option(min=2, help="Denoising steps of a generation.")] = 28,
    seed: Annotated[int, typer.Option(min=0, help="Seed of the first prompt; the others count on.")] = 0,
    settings: Set = None,
    device: Device = "cpu",
    dtype: Dtype = None,
    order: Annotated[int, typer.Option(min=1, max=4, help="Degree of the polynomial.")] = 4,
    verify: Annotated[int, typer.Option(min=0, help="So many prompts are generated at each threshold, too.")] = 1,
    budget: Annotated[
        str | None, typer.Option(show_default=False, help="Find plans for these numbers of computed steps: 8,12,16.")
    ] = None,
    forecast: Annotated[
        str, typer.Option(help="What reused steps may add there: last, line, parabola, blend.")
    ] = "blend,line,parabola",
    limit: Annotated[str, typer.Option(help="residual_limit of all but last, each is tried.")] = "1,0.75,0.5",
    tolerance: Annotated[
        str | None,
        typer.Option(show_default=False, help="Measure what these tolerances come to: 0.01,0.02,0.05."),
    ] = None,
    held_out: Annotated[
        int | None,
        typer.Option(min=1, show_default="a quarter", help="So many of the last prompts judge plans and tolerances."),
    ] = None,
    moves: Annotated[int, typer.Option(min=0, help="So many neighbours of the best steps are generated.")] = 24,
    save: Annotated[Path | None, typer.Option(show_default=False, help="Write the pairs to this file.")] = None,
    shards: Annotated[
        list[Path] | None,
        typer.Option("--shard", show_default=False, help="Add pairs that --save wrote. Repeatable; needs no pipeline."),
    ] = None,
    plot: Annotated[Path | None, typer.Option(show_default=False, help="Draw pairs and fit into this PNG.")] = None,
    write: Annotated[Path | None, typer.Option(show_default=False, help="Put the result into this spec.")] = None,
    variant: Annotated[str | None, typer.Option(show_default=False, help="Into this variant of it.")] = None,
    output_format: Annotated[
        Literal["text", "json"], typer.Option("--format", help="How to show the result.")
    ] = "text",
    _debug: Debug = False,
) -> None:
    """Fit the coefficients of a transformer to generations of a pipeline. Runs the pipeline's code."""
    if (pipeline is None) != (prompts is None) or (pipeline is None and not shards):
        raise typer.BadParameter("give a pipeline and a file of prompts, or --shard files", param_hint="PIPELINE")
    rank, ranks = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    if ranks > 1 and (save is None or pipeline is None):
        raise typer.BadParameter("several processes collect with --save; fit their files in one", param_hint="--save")
    if write is not None:
        require_readable(write)
    budgets, forecasts = _wanted(budget, forecast, limit, pipeline)
    tolerances = _tolerances_of(tolerance, pipeline)
    from teaspec.calibrate.gain import Weighing
    from teaspec.calibrate.pairs import Pairs
    from teaspec.calibrate.plans import Search
    from teaspec.calibrate.run import Job, collect, conclude, parted, planned, verified, weighed
    from teaspec.calibrate.verify import generations

    with refused(ValueError, OSError, code=EXIT_FAILED):
        collected = [Pairs.load(shard) for shard in shards or ()]
        job = search = weighing = None
        if pipeline is not None and prompts is not None:
            source, module = _opened(pipeline, transformer, device, dtype)
            arguments = {"num_inference_steps": steps, **named_values(settings, "--set")}
            job = Job(source, module, prompts_of(prompts), seed, arguments, rank, ranks)
            if budgets:
                search = Search(budgets, forecasts, *parted(len(job.prompts), held_out), moves)
            if tolerances:
                weighing = Weighing(tolerances, forecasts[0], *parted(len(job.prompts), held_out))
            with progress("collecting", len(job.numbers)) as done:
                collected.append(collect(job, done))
        pairs = Pairs.merge(collected)
        if save is not None:
            _save(pairs, save if ranks == 1 else save.with_name(f"{save.stem}-{rank}{save.suffix}"))
        if ranks > 1:
            return  # this process has its share; what all of them have is for `--shard`
        findings = conclude(pairs, order)
        if job is not None and verify:
            with progress("verifying", min(verify, len(job.prompts)) * generations(findings.thresholds)) as done:
                findings = verified(findings, job, verify, done)
        if job is not None and search is not None:
            with progress("planning", search.generations) as done:
                findings = planned(findings, job, search, _run_of(pipeline, job, search), done)
        if job is not None and weighing is not None:
            with progress("measuring tolerances", weighing.generations) as done:
                findings = weighed(findings, job, weighing, _run_of(pipeline, job, weighing), done)
    _show(findings, output_format, plot)
    if write is not None:
        _write(findings, write, variant, _origin(pipeline, job, shards or []))


def _wanted(budget: str | None, forecast: str, limit: str, pipeline: str | None) -> tuple[list[int], list[Added]]:
    """The budgets that plans are found for, and what reused steps may add."""
    if budget is not None and pipeline is None:
        raise typer.BadParameter("plans are found by generations: give a pipeline", param_hint="--budget")
    texts = [] if budget is None else [one.strip() for one in budget.split(",")]
    if not all(one.isdecimal() and int(one) > 0 for one in texts):
        raise typer.BadParameter(f"expected numbers of steps, as in 8,12,16, found {budget}", param_hint="--budget")
    return sorted({int(one) for one in texts}), forecasts_of(forecast, limit)


def _tolerances_of(tolerance: str | None, pipeline: str | None) -> list[float]:
    """The tolerances that are measured."""
    if tolerance is None:
        return []
    if pipeline is None:
        message = "what a tolerance comes to is measured by generations: give a pipeline"
        raise typer.BadParameter(message, param_hint="--tolerance")
    found = [number_of(one) for one in tolerance.split(",")]
    if not all(0 < one < math.inf for one in found):
        message = f"expected numbers above 0, as in 0.01,0.05, found {tolerance!r}"
        raise typer.BadParameter(message, param_hint="--tolerance")
    return list(dict.fromkeys(found))


def _opened(pipeline: str, transformer: str | None, device: str, dtype: str | None) -> tuple[Any, Any]:
    from teaspec.calibrate.estimator import find_transformer
    from teaspec.pipelines.load import load_pipeline

    source = load_pipeline(pipeline, device, find_dtype(dtype))
    return source, find_transformer(source.pipeline, transformer)


def _save(pairs: Pairs, path: Path) -> None:
    pairs.save(path)
    typer.echo(f"{path}: {len(pairs)} pairs", err=True)


def _show(findings: Findings, output_format: str, plot: Path | None) -> None:
    from teaspec.calibrate.report import as_json, render

    if output_format == "json":
        typer.echo(json.dumps(as_json(findings), indent=2))
    else:
        get_console().print(render(findings), soft_wrap=True)
    if plot is not None:
        try:
            from teaspec.calibrate.plot import draw
        except ModuleNotFoundError as error:
            refuse(f"{error}; --plot needs `pip install teaspec[demo]`")
        draw(findings.pairs, findings.fit, plot)
        typer.echo(f"{plot}: drawn", err=True)


def _write(findings: Findings, path: Path, variant: str | None, source: str) -> None:
    from teaspec.compiler import load_spec

    try:
        from teaspec.calibrate.write import Origin, write_fit
    except ModuleNotFoundError as error:
        refuse(f"{error}; --write needs `pip install teaspec[authoring]`")
    with refusals_shown(path, Format.TEXT):
        spec = load_spec(path)
    if findings.pairs.transformer_type not in (spec.class_name, *spec.aliases):
        refuse(f"{path} is about {spec.class_name}, the pairs are of {findings.pairs.transformer_type}")
    plans = () if findings.planning is None else findings.planning.worth_writing
    gain = None if findings.weighed is None else findings.weighed.gain
    write_fit(path, findings.fit, Origin(source, date.today()), findings.thresholds, variant, plans, gain)
    typer.echo(f"{path}: written", err=True)


def _run_of(pipeline: str | None, job: Job, judged: Search | Weighing) -> str:
    """What was run: the sampler and its settings are part of what plans and tolerances are about."""
    scheduler = getattr(job.source.pipeline, "scheduler", None)
    settings = ", ".join(f"{name}={value!r}" for name, value in job.arguments.items() if name != "num_inference_steps")
    told = "" if scheduler is None else f", {type(scheduler).__name__}"
    return (
        f"teaspec calibrate, {pipeline}{told}{f', {settings}' if settings else ''}, {len(judged.seen)} prompts, "
        f"judged by {len(judged.held_out)} others, {date.today().isoformat()}"
    )


def _origin(pipeline: str | None, job: Job | None, shards: list[Path]) -> str:
    """What was run, as a spec's `source` says it."""
    parts = []
    if pipeline is not None and job is not None:
        parts.append(f"{pipeline}, {len(job.prompts)} prompts, {job.arguments['num_inference_steps']} steps")
    if shards:
        parts.append(f"{len(shards)} shards")
    return f"teaspec calibrate, {' and '.join(parts)}"
