"""How the commands say what is wrong with a spec."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

from teaspec.cli.root import EXIT_FAILED, Format, get_console

if TYPE_CHECKING:
    from teaspec.compiler import Diagnostic


def show_diagnostics(diagnostics: Iterable[Diagnostic], output_format: Format = Format.TEXT) -> None:
    """Writes diagnostics to the error output, in colour on a terminal.

    Args:
        diagnostics: What the compiler has against a spec.
        output_format: Whether to write a line each, or to show the places.
    """
    from teaspec.compiler.report import render_concise, render_text

    if output_format is Format.CONCISE:
        typer.echo(render_concise(diagnostics), err=True)
        return
    found = list(diagnostics)
    errors = get_console(stderr=True)
    # the text brings its own colours, and must not be wrapped: carets point at columns
    coloured = errors.is_terminal and not errors.no_color
    typer.echo(render_text(found, colour=coloured), err=True, color=coloured)
    if errors.is_terminal:
        codes = dict.fromkeys(diagnostic.code for diagnostic in found)
        typer.echo(f"\nmore about it: teaspec explain {' | '.join(codes)}", err=True)


def refuse(message: str, code: int = EXIT_FAILED) -> NoReturn:
    """Ends the command.

    Args:
        message: Why, one line.
        code: The exit code.
    """
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(code)


@contextmanager
def refusals_shown(path: Path, output_format: Format) -> Iterator[None]:
    """Within it, a spec that cannot be used, or whose model cannot be built, ends the command with a message.

    Args:
        path: The spec's file.
        output_format: How the message is written; JSON goes to the standard output, as results do.
    """
    from teaspec.compiler import SpecError

    try:
        yield
    except SpecError as error:
        if output_format is Format.JSON:
            _show_json(path, None, error.diagnostics)
        else:
            show_diagnostics(error.diagnostics, output_format)
        raise typer.Exit(EXIT_FAILED) from error
    except Exception as error:
        from teaspec.proof.build import ProbeError

        if not isinstance(error, ProbeError):
            raise
        if output_format is Format.JSON:
            _show_json(path, f"{path}: {error}", ())
            raise typer.Exit(EXIT_FAILED) from error
        refuse(f"{path}: {error}")


def _show_json(path: Path, problem: str | None, diagnostics: Iterable[Diagnostic]) -> None:
    from teaspec.compiler import to_json

    typer.echo(json.dumps({"spec": str(path), "error": problem, "diagnostics": to_json(diagnostics)}, indent=2))
