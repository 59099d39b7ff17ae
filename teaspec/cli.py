"""The command line: the only file that prints or exits."""

from __future__ import annotations

import json
import sys
import traceback
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

import teaspec

if TYPE_CHECKING:
    from rich.console import Console

    from teaspec.compiler import Diagnostic, Spec
    from teaspec.proof.determinism import FreshInterpreter
    from teaspec.proof.result import CheckReport

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_BUG = 70

app = typer.Typer(name="teaspec", add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


class Format(str, Enum):
    """How results are written."""

    TEXT = "text"
    CONCISE = "concise"
    JSON = "json"


@dataclass(frozen=True)
class Checked:
    """What became of one spec: a report, or what is wrong with it."""

    spec: str
    report: CheckReport | None = None
    diagnostics: tuple[Diagnostic, ...] = ()
    error: str | None = None

    @property
    def passed(self) -> bool:
        """Whether there is a report and every property held."""
        return self.report is not None and self.report.passed


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
    specs: Annotated[list[Path], typer.Argument(metavar="SPEC...", help="Spec files, for example specs/*.yaml.")],
    examples: Annotated[int, typer.Option(min=1, help="Calls drawn for each property.")] = 50,
    seed: Annotated[int, typer.Option(min=0, help="Seed of weights and draws; the same seed repeats a run.")] = 0,
    output_format: Annotated[Format, typer.Option("--format", help="How to write the results.")] = Format.TEXT,
    source: Annotated[bool, typer.Option("--source", help="Print the generated extractors, too.")] = False,
    _debug: Debug = False,
) -> None:
    """Compile specs and prove on tiny models that nothing changes but the time."""
    problems = [problem for problem in map(_find_problem, specs) if problem]
    if problems:
        if output_format is Format.JSON:
            typer.echo(json.dumps(_as_json([Checked(str(path), error=_find_problem(path)) for path in specs], False)))
        for problem in problems:
            typer.echo(f"error: {problem}", err=True)
        raise typer.Exit(EXIT_USAGE)
    results = []
    for result in _check_all(specs, examples, seed, quiet=output_format is Format.JSON):
        results.append(result)
        if output_format is not Format.JSON:
            _show(result, output_format, source)
    if output_format is Format.JSON:
        typer.echo(json.dumps(_as_json(results, source), indent=2))
    elif len(results) > 1:
        failed = sum(not result.passed for result in results)
        typer.echo(f"{len(results)} specs: {len(results) - failed} passed, {failed} failed")
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
        typer.echo(
            f"internal error: {summary}\nThis is a bug in teaspec. Please report it with the output of the same "
            f"command with --debug, and of `teaspec --version`.",
            err=True,
        )
        sys.exit(EXIT_BUG)
    sys.exit(0)


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


def _check_all(paths: list[Path], examples: int, seed: int, *, quiet: bool) -> Iterator[Checked]:
    from teaspec.compiler import SpecError, load_spec

    with ExitStack() as stack:
        interpreter: FreshInterpreter | None = None
        for path in paths:
            try:
                spec = load_spec(path)
            except SpecError as error:
                yield Checked(str(path), diagnostics=error.diagnostics)
                continue
            if interpreter is None:
                # diffusers is imported here at the earliest: a spec with a typo is answered at once
                from teaspec.proof.determinism import FreshInterpreter

                interpreter = stack.enter_context(FreshInterpreter(seed))
            yield _check_one(path, spec, examples, seed, interpreter, quiet=quiet)


def _check_one(
    path: Path, spec: Spec, examples: int, seed: int, interpreter: FreshInterpreter, *, quiet: bool
) -> Checked:
    from teaspec.compiler import SpecError
    from teaspec.proof.build import ProbeError
    from teaspec.proof.run import check_spec

    try:
        with _console(stderr=True, quiet=quiet).status(str(path)) as status:
            report = check_spec(
                spec,
                examples=examples,
                seed=seed,
                progress=lambda name: status.update(f"{path}: {name}"),
                interpreter=interpreter,
            )
    except SpecError as error:
        return Checked(str(path), diagnostics=error.diagnostics)
    except ProbeError as error:
        return Checked(str(path), error=f"{path}: {error}")
    return Checked(str(path), report=report)


def _show(result: Checked, output_format: Format, source: bool) -> None:
    from teaspec.compiler import render_text
    from teaspec.proof.render import render_line, render_report

    console, errors = _console(), _console(stderr=True)
    if result.diagnostics:
        # the text brings its own colours, and must not be wrapped: carets point at columns
        coloured = errors.is_terminal and not errors.no_color
        typer.echo(render_text(result.diagnostics, colour=coloured), err=True, color=coloured)
    if result.error is not None:
        typer.echo(f"error: {result.error}", err=True)
    if result.report is None:
        console.print(f"FAIL {result.spec}", style="bold red", soft_wrap=True)
        return
    render = render_report if output_format is Format.TEXT else render_line
    console.print(render(result.report), soft_wrap=True)
    if source:
        typer.echo(result.report.source)


def _as_json(results: list[Checked], source: bool) -> dict[str, Any]:
    from teaspec.compiler import to_json

    entries = []
    for result in results:
        entry: dict[str, Any] = {
            "spec": result.spec,
            "passed": result.passed,
            "error": result.error,
            "diagnostics": to_json(result.diagnostics),
            "report": None if result.report is None else result.report.as_dict(),
        }
        if source and result.report is not None:
            entry["source"] = result.report.source
        entries.append(entry)
    return {"teaspec": teaspec.__version__, "passed": all(result.passed for result in results), "specs": entries}


def _console(*, stderr: bool = False, quiet: bool = False) -> Console:
    from rich.console import Console

    return Console(stderr=stderr, quiet=quiet, highlight=False, markup=False, emoji=False)
