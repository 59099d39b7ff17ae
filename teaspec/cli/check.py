"""`teaspec check`: compiles specs and proves the extractors on tiny models."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from teaspec.cli.files import find_all, find_problem, find_spec
from teaspec.cli.refusals import show_diagnostics
from teaspec.cli.root import BUG, EXIT_BUG, EXIT_FAILED, EXIT_USAGE, Allow, Debug, Format, app, get_console
from teaspec.cli.watch import watch_files

if TYPE_CHECKING:
    from rich.progress import Progress

    from teaspec.batch.checked import Checked


@app.command()
def check(
    specs: Annotated[
        list[Path] | None,
        typer.Argument(metavar="[SPEC]...", help="Spec files, names of specs (flux), or classes that have one."),
    ] = None,
    shipped: Annotated[
        bool,
        typer.Option(
            "--all", help="Check all specs that come with teaspec, and those of TEASPEC_PATH and of installed packages."
        ),
    ] = False,
    examples: Annotated[int, typer.Option(min=1, help="Calls drawn for each property.")] = 50,
    seed: Annotated[int, typer.Option(min=0, help="Seed of weights and draws; the same seed repeats a run.")] = 0,
    jobs: Annotated[
        int | None,
        typer.Option(min=1, show_default="the cores, if there is enough to do", help="Processes to check in."),
    ] = None,
    output_format: Annotated[
        Format | None,
        typer.Option("--format", show_default="text; concise with --all", help="How to write the results."),
    ] = None,
    allow: Allow = None,
    source: Annotated[bool, typer.Option("--source", help="Print the generated extractors, too.")] = False,
    watch: Annotated[
        bool, typer.Option("--watch", help="Stay, and check again whenever a spec or its model's file is saved.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Compile specs and prove on tiny models that nothing changes but the time."""
    from teaspec.batch.checked import as_json
    from teaspec.batch.checker import Settings
    from teaspec.batch.run import check_files

    output_format = output_format or (Format.CONCISE if shipped else Format.TEXT)
    if bool(specs) == shipped:
        raise typer.BadParameter("give spec files, or --all for those that come with teaspec", param_hint="SPEC")
    found = find_all() if shipped else [find_spec(path) for path in specs or []]
    paths = [one.path for one in found]
    trusted = dict.fromkeys((*(allow or ()), *(package for one in found for package in one.allow)))
    _require_readable(paths, output_format)
    settings = Settings(examples, seed, tuple(trusted))
    if watch:
        watch_files(paths, settings, lambda results: _show_round(results, output_format, source, debug))
        return
    results = []
    with _progress(len(paths)) as (progress, advance):
        for result in check_files(paths, settings, jobs, advance):
            results.append(result)
            if output_format is not Format.JSON:
                progress.stop()  # it stands on the line that the terminal would write to next
                _show(result, output_format, source, debug, excused=shipped)
                progress.start()
    # Specs for all versions come together; who names one wants that one proven.
    there = [result for result in results if not (shipped and result.absent)]
    if output_format is Format.JSON:
        typer.echo(json.dumps(as_json(results, source, excused=shipped), indent=2))
    elif len(results) > 1:
        failed = sum(not result.passed for result in there)
        absent = f", {len(results) - len(there)} absent" if len(there) < len(results) else ""
        typer.echo(f"{len(results)} specs: {len(there) - failed} passed, {failed} failed{absent}")
    if any(result.bug for result in results):
        typer.echo(BUG, err=True)
        raise typer.Exit(EXIT_BUG)
    if not all(result.passed for result in there):
        raise typer.Exit(EXIT_FAILED)


def _show_round(results: list[Checked], output_format: Format, source: bool, debug: bool) -> None:
    """Shows what became of the specs that were saved: in JSON, one line for each time."""
    from teaspec.batch.checked import as_json

    if output_format is Format.JSON:
        typer.echo(json.dumps(as_json(results, source)))
        return
    for result in results:
        _show(result, output_format, source, debug)


def _require_readable(paths: list[Path], output_format: Format) -> None:
    from teaspec.batch.checked import Checked, as_json

    problems = [find_problem(path) for path in paths]
    if not any(problems):
        return
    if output_format is Format.JSON:
        unread = [Checked(str(path), error=problem) for path, problem in zip(paths, problems, strict=True)]
        typer.echo(json.dumps(as_json(unread, source=False)))
    for problem in filter(None, problems):
        typer.echo(f"error: {problem}", err=True)
    raise typer.Exit(EXIT_USAGE)


@contextmanager
def _progress(total: int) -> Iterator[tuple[Progress, Callable[[int, str], None]]]:
    """A bar on a terminal, nothing elsewhere; and what moves it."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = get_console(stderr=True)
    with Progress(
        *(SpinnerColumn(), MofNCompleteColumn(), BarColumn(), TimeElapsedColumn(), TextColumn("{task.description}")),
        console=console,
        transient=True,
        disable=not console.is_terminal,
        redirect_stdout=False,  # what is printed meanwhile goes where it belongs
        redirect_stderr=False,
    ) as progress:
        task = progress.add_task("", total=total)
        yield progress, lambda done, text: progress.update(task, completed=done, description=text)


def _show(result: Checked, output_format: Format, source: bool, debug: bool, *, excused: bool = False) -> None:
    from teaspec.proof.render import render_line, render_report

    console = get_console()
    if excused and result.absent:
        console.print(f"ABSENT {result.spec}: the class is there {result.absent}", soft_wrap=True)
        return
    if result.diagnostics:
        show_diagnostics(result.diagnostics, output_format)
    if result.bug is not None:
        trace = f"{result.bug.trace}\n" if debug else ""
        typer.echo(f"{trace}internal error: {result.bug.summary}", err=True)
    if result.error is not None:
        typer.echo(f"error: {result.error}", err=True)
    if result.report is None:
        console.print(f"FAIL {result.spec}", style="bold red", soft_wrap=True)
        return
    render = render_report if output_format is Format.TEXT else render_line
    console.print(render(result.report), soft_wrap=True)
    if source:
        typer.echo(result.report.source)
