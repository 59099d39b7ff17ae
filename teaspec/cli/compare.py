"""`teaspec compare`: a user's own pipeline, uncached beside each setting."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from teaspec.cli.forecasts import forecasts_of
from teaspec.cli.outputs import write_output
from teaspec.cli.refusals import refuse
from teaspec.cli.root import EXIT_FAILED, EXIT_USAGE, Debug, app, get_console
from teaspec.cli.running import Device, Dtype, Set, find_dtype, named_values, progress, prompts_of, refused

if TYPE_CHECKING:
    from teaspec.compare.ranking import Advice
    from teaspec.compare.result import Comparison


@app.command()
def compare(
    pipeline: Annotated[str, typer.Argument(help="module:function, or a folder of a diffusers pipeline.")],
    prompts: Annotated[Path, typer.Argument(help="A file of prompts, one a line.")],
    budgets: Annotated[
        str | None, typer.Option("--budget", show_default=False, help="Steps to compute, or shares of them: 8,12,0.4.")
    ] = None,
    tolerances: Annotated[
        str | None, typer.Option("--tolerance", show_default=False, help="Relative errors of the result: 0.02,0.05.")
    ] = None,
    thresholds: Annotated[
        str | None, typer.Option("--threshold", show_default=False, help="Values of rel_l1_thresh: 0.15,0.25.")
    ] = None,
    forecast: Annotated[
        str | None,
        typer.Option(show_default=False, help="Each of them with each of these forecasts: last,line,parabola,blend."),
    ] = None,
    limit: Annotated[
        str | None, typer.Option(show_default="1", help="And these residual_limits; last is followed nowhere.")
    ] = None,
    further: Annotated[
        list[str] | None,
        typer.Option(
            "--enable",
            metavar="NAME=VALUE",
            show_default=False,
            help="An argument of teaspec.enable for all of them: residual_order=1. Repeatable.",
        ),
    ] = None,
    steps: Annotated[int, typer.Option(min=2, help="Denoising steps of a generation.")] = 28,
    seeds: Annotated[str, typer.Option(help="Each prompt is generated from each of these: 0,1.")] = "0",
    settings: Set = None,
    device: Device = "cpu",
    dtype: Dtype = None,
    enough: Annotated[
        float, typer.Option("--enough", metavar="DB", help="PSNR of pictures that are near enough to be recommended.")
    ] = 30.0,
    html: Annotated[
        Path | None, typer.Option(metavar="FILE", show_default=False, help="Write a page; needs no other file.")
    ] = None,
    sheet: Annotated[
        Path | None, typer.Option(metavar="FILE", show_default=False, help="Draw a contact sheet into this PNG.")
    ] = None,
    output_format: Annotated[
        Literal["text", "json"], typer.Option("--format", help="How to show the result.")
    ] = "text",
    _debug: Debug = False,
) -> None:
    """Generate uncached and with each setting, and show which one to use. Runs the pipeline's code."""
    choices = {
        "budget": _numbers(budgets, "--budget"),
        "tolerance": _numbers(tolerances, "--tolerance"),
        "rel_l1_thresh": _numbers(thresholds, "--threshold"),
    }
    drawn_from = _numbers(seeds, "--seeds")
    if not drawn_from or not all(isinstance(seed, int) and seed >= 0 for seed in drawn_from):
        raise typer.BadParameter(f"expected whole numbers from 0 on, as in 0,1, found {seeds!r}", param_hint="--seeds")
    for path in filter(None, (html, sheet)):
        _require_folder(path)
    draw_sheet = None if sheet is None else _drawing()
    added = _added(forecast, limit)
    arguments = {"num_inference_steps": steps, **named_values(settings, "--set")}
    from teaspec.compare.job import Job
    from teaspec.compare.ranking import advise
    from teaspec.compare.run import compare as compare_all
    from teaspec.compare.settings import settings_of
    from teaspec.compare.shot import GenerationError
    from teaspec.pipelines.load import load_pipeline

    with refused(ValueError, TypeError, code=EXIT_USAGE):
        compared = settings_of(choices, named_values(further, "--enable"), added)
        asked = list(dict.fromkeys(prompts_of(prompts)))
        source = load_pipeline(pipeline, device, find_dtype(dtype), result="np")
        job = Job(pipeline, source, asked, list(dict.fromkeys(map(int, drawn_from))), compared, arguments)
        with refused(GenerationError, code=EXIT_FAILED), progress("generating", job.generations) as done:
            comparison = compare_all(job, done)
    advice = advise(comparison.measured, enough)
    try:
        if html is not None:
            from teaspec.compare.page import render_page

            write_output(html, render_page(comparison, advice))
        if draw_sheet is not None:
            with refused(OSError, code=EXIT_USAGE):
                draw_sheet(comparison, sheet)
            typer.echo(f"{sheet}: drawn", err=True)
    finally:
        _show(comparison, advice, output_format)  # what took so long is shown, also where a file cannot be written


def _numbers(text: str | None, option: str) -> list[float]:
    """Reads numbers with commas between them; whole numbers stay whole, for a budget of 1 is not one of 1.0."""
    found: list[float] = []
    for part in (text or "").split(","):
        if not part.strip():
            continue
        try:
            found.append(int(part) if part.strip().lstrip("+-").isdecimal() else float(part))
        except ValueError:
            message = f"expected numbers with commas between them, as in 8,12, found {part.strip()!r}"
            raise typer.BadParameter(message, param_hint=option) from None
    if text is not None and not found:
        raise typer.BadParameter("expected numbers with commas between them, as in 8,12, found none", param_hint=option)
    return found


def _added(forecast: str | None, limit: str | None) -> dict[str, dict[str, Any]]:
    """What each setting is tried with in turn, by what it is in words."""
    if forecast is None:
        if limit is not None:
            raise typer.BadParameter(
                "it is how far a forecast is followed: give --forecast blend", param_hint="--limit"
            )
        return {}
    return {str(one): one.settings for one in forecasts_of(forecast, "1" if limit is None else limit)}


def _require_folder(path: Path) -> None:
    """Ends the command before the first generation where nothing could be written behind the last."""
    if path.is_dir() or not path.absolute().parent.is_dir():
        problem = "it is a folder" if path.is_dir() else f"there is no folder {path.absolute().parent}"
        refuse(f"{path} cannot be written: {problem}", EXIT_USAGE)


def _drawing() -> Callable[[Any, Any], None]:
    try:
        from teaspec.compare.sheet import draw_sheet
    except ModuleNotFoundError as error:
        refuse(f"{error}; --sheet needs `pip install teaspec[demo]`")
    return draw_sheet


def _show(comparison: Comparison, advice: Advice, output_format: str) -> None:
    from teaspec.compare.report import as_json, render

    if output_format == "json":
        typer.echo(json.dumps(as_json(comparison, advice), indent=2))
    else:
        get_console().print(render(comparison, advice), soft_wrap=True)
