"""The command line: the only file that prints or exits."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

import teaspec

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

    from teaspec.batch.checked import Checked

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_BUG = 70

app = typer.Typer(name="teaspec", add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


class Format(str, Enum):
    """How results are written."""

    TEXT = "text"
    CONCISE = "concise"
    JSON = "json"


_BUG = (
    "This is a bug in teaspec. Please report it with the output of the same command with --debug, and of "
    "`teaspec --version`."
)

Debug = Annotated[bool, typer.Option("--debug", help="Show the full traceback of an internal error.")]


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"teaspec {teaspec.__version__}")
        raise typer.Exit


@app.callback(help="TeaCache extractors for diffusion transformers, compiled from the models' own forwards.")
def _root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None: ...


@app.command()
def check(
    specs: Annotated[
        list[Path] | None, typer.Argument(metavar="[SPEC]...", help="Spec files, for example specs/*.yaml.")
    ] = None,
    shipped: Annotated[bool, typer.Option("--all", help="Check all specs that come with teaspec.")] = False,
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
    source: Annotated[bool, typer.Option("--source", help="Print the generated extractors, too.")] = False,
    debug: Debug = False,
) -> None:
    """Compile specs and prove on tiny models that nothing changes but the time."""
    from teaspec.batch.checked import as_json
    from teaspec.batch.checker import Settings
    from teaspec.batch.run import check_files

    output_format = output_format or (Format.CONCISE if shipped else Format.TEXT)
    paths = _find_shipped() if shipped else specs or []
    if bool(specs) == shipped:
        raise typer.BadParameter("give spec files, or --all for those that come with teaspec", param_hint="SPEC")
    _require_readable(paths, output_format)
    results = []
    with _progress(len(paths)) as (progress, advance):
        for result in check_files(paths, Settings(examples, seed), jobs, advance):
            results.append(result)
            if output_format is not Format.JSON:
                progress.stop()  # it stands on the line that the terminal would write to next
                _show(result, output_format, source, debug)
                progress.start()
    if output_format is Format.JSON:
        typer.echo(json.dumps(as_json(results, source), indent=2))
    elif len(results) > 1:
        failed = sum(not result.passed for result in results)
        typer.echo(f"{len(results)} specs: {len(results) - failed} passed, {failed} failed")
    if any(result.bug for result in results):
        typer.echo(_BUG, err=True)
        raise typer.Exit(EXIT_BUG)
    if not all(result.passed for result in results):
        raise typer.Exit(EXIT_FAILED)


@app.command()
def demo(
    output: Annotated[Path, typer.Option(help="Folder for the picture.")] = Path("teaspec-demo"),
    _debug: Debug = False,
) -> None:
    """Generate with a small FLUX pipeline, uncached and cached, and measure."""
    from teaspec.demo import run
    from teaspec.demo.table import render

    if output.exists() and not output.is_dir():
        typer.echo(f"error: {output} is a file; --output names a folder", err=True)
        raise typer.Exit(EXIT_USAGE)
    try:
        # A line for each stage: a spinner would take time from what is being timed.
        result = run(output, report=lambda stage: typer.echo(f"demo: {stage}", err=True))
    except ModuleNotFoundError as error:
        typer.echo(f"error: {error}; the demo needs `pip install teaspec[demo]`", err=True)
        raise typer.Exit(EXIT_FAILED) from error
    _console().print(render(result))


def main() -> NoReturn:
    """Runs the command line; an exception that reaches this point is a bug in teaspec."""
    try:
        app()
    except Exception as error:
        if "--debug" in sys.argv:
            typer.echo(traceback.format_exc().rstrip(), err=True)
        summary = " ".join(f"{type(error).__name__}: {error}".split())
        typer.echo(f"internal error: {summary}\n{_BUG}", err=True)
        sys.exit(EXIT_BUG)
    sys.exit(0)


def _find_shipped() -> list[Path]:
    """The shipped specs, by names that are short where they can be."""
    from teaspec.catalog import shipped_specs

    here = Path.cwd()
    return [path.relative_to(here) if path.is_relative_to(here) else path for path in shipped_specs()]


def _require_readable(paths: list[Path], output_format: Format) -> None:
    from teaspec.batch.checked import Checked, as_json

    problems = [_find_problem(path) for path in paths]
    if not any(problems):
        return
    if output_format is Format.JSON:
        unread = [Checked(str(path), error=problem) for path, problem in zip(paths, problems, strict=True)]
        typer.echo(json.dumps(as_json(unread, source=False)))
    for problem in filter(None, problems):
        typer.echo(f"error: {problem}", err=True)
    raise typer.Exit(EXIT_USAGE)


def _find_problem(path: Path) -> str | None:
    """What keeps a path from being read as a spec, or None."""
    from teaspec.compiler.report import did_you_mean

    if path.is_dir():
        return f"{path} is a folder; name the files in it, for example {path / '*.yaml'}"
    if not path.exists():
        near = did_you_mean(path.name, [other.name for other in path.parent.glob("*.yaml")])
        return f"{path}: no such file" + (f"; {near[0]}" if near else "")
    try:
        path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        return f"{path} is not text in UTF-8: byte {error.start} cannot be read"
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    return None


@contextmanager
def _progress(total: int) -> Iterator[tuple[Progress, Callable[[int, str], None]]]:
    """A bar on a terminal, nothing elsewhere; and what moves it."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    console = _console(stderr=True)
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


def _show(result: Checked, output_format: Format, source: bool, debug: bool) -> None:
    from teaspec.compiler import render_text
    from teaspec.proof.render import render_line, render_report

    console, errors = _console(), _console(stderr=True)
    if result.diagnostics:
        # the text brings its own colours, and must not be wrapped: carets point at columns
        coloured = errors.is_terminal and not errors.no_color
        typer.echo(render_text(result.diagnostics, colour=coloured), err=True, color=coloured)
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


def _console(*, stderr: bool = False) -> Console:
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)
