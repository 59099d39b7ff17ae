"""`teaspec calibrate`: coefficients for a transformer, from generations of a pipeline."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from teaspec.cli.files import require_readable
from teaspec.cli.refusals import refusals_shown, refuse
from teaspec.cli.root import EXIT_USAGE, Debug, Format, app, get_console

if TYPE_CHECKING:
    from teaspec.calibrate.pairs import Pairs
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
    settings: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="NAME=VALUE", show_default=False, help="An argument of the pipeline. Repeatable."
        ),
    ] = None,
    device: Annotated[str, typer.Option(help="Where the pipeline of a folder runs.")] = "cpu",
    dtype: Annotated[str | None, typer.Option(show_default="as it is", help="float32, bfloat16 or float16.")] = None,
    order: Annotated[int, typer.Option(min=1, max=4, help="Degree of the polynomial.")] = 4,
    verify: Annotated[int, typer.Option(min=0, help="So many prompts are generated at each threshold, too.")] = 1,
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
    from teaspec.calibrate.pairs import Pairs
    from teaspec.calibrate.run import Job, collect, conclude, verified
    from teaspec.calibrate.verify import generations

    with _refused(ValueError, OSError):
        collected = [Pairs.load(shard) for shard in shards or ()]
        job = None
        if pipeline is not None and prompts is not None:
            source, module = _opened(pipeline, transformer, device, dtype)
            arguments = {"num_inference_steps": steps, **dict(map(_setting, settings or ()))}
            job = Job(source, module, _prompts(prompts), seed, arguments, rank, ranks)
            with _progress("collecting", len(job.numbers)) as done:
                collected.append(collect(job, done))
        pairs = Pairs.merge(collected)
        if save is not None:
            _save(pairs, save if ranks == 1 else save.with_name(f"{save.stem}-{rank}{save.suffix}"))
        if ranks > 1:
            return  # this process has its share; what all of them have is for `--shard`
        findings = conclude(pairs, order)
        if job is not None and verify:
            with _progress("verifying", min(verify, len(job.prompts)) * generations(findings.thresholds)) as done:
                findings = verified(findings, job, verify, done)
    _show(findings, output_format, plot)
    if write is not None:
        _write(findings, write, variant, _origin(pipeline, job, shards or []))


def _opened(pipeline: str, transformer: str | None, device: str, dtype: str | None) -> tuple[Any, Any]:
    import torch

    from teaspec.calibrate.estimator import find_transformer
    from teaspec.calibrate.load import load_pipeline

    if dtype not in (None, "float32", "bfloat16", "float16"):
        raise typer.BadParameter(f"expected float32, bfloat16 or float16, found {dtype}", param_hint="--dtype")
    source = load_pipeline(pipeline, device, None if dtype is None else getattr(torch, dtype))
    return source, find_transformer(source.pipeline, transformer)


def _prompts(path: Path) -> list[str]:
    from teaspec.calibrate.load import read_prompts

    try:
        return read_prompts(path)
    except OSError as error:
        refuse(f"{path} cannot be read: {error.strerror}", EXIT_USAGE)


def _setting(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise typer.BadParameter(f"expected NAME=VALUE, found {text}", param_hint="--set")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value  # a text needs no quotes


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
    write_fit(path, findings.fit, Origin(source, date.today()), findings.thresholds, variant)
    typer.echo(f"{path}: written", err=True)


def _origin(pipeline: str | None, job: Job | None, shards: list[Path]) -> str:
    """What was run, as a spec's `source` says it."""
    parts = []
    if pipeline is not None and job is not None:
        parts.append(f"{pipeline}, {len(job.prompts)} prompts, {job.arguments['num_inference_steps']} steps")
    if shards:
        parts.append(f"{len(shards)} shards")
    return f"teaspec calibrate, {' and '.join(parts)}"


@contextmanager
def _refused(*kinds: type[Exception]) -> Iterator[None]:
    """Within it, what says what is wrong ends the command with its message."""
    try:
        yield
    except kinds as error:
        refuse(str(error))


@contextmanager
def _progress(what: str, total: int) -> Iterator[Callable[[], None]]:
    """A bar on a terminal, nothing elsewhere; and what moves it."""
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = get_console(stderr=True)
    with Progress(
        *(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    ) as progress:
        task = progress.add_task(what, total=total)
        yield lambda: progress.advance(task)
