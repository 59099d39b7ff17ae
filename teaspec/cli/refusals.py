"""How the commands say what is wrong with a spec."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

import typer

from teaspec.cli.root import EXIT_FAILED, get_console

if TYPE_CHECKING:
    from teaspec.compiler import Diagnostic


def show_diagnostics(diagnostics: Iterable[Diagnostic]) -> None:
    """Writes diagnostics to the error output, in colour on a terminal.

    Args:
        diagnostics: What the compiler has against a spec.
    """
    from teaspec.compiler import render_text

    errors = get_console(stderr=True)
    # the text brings its own colours, and must not be wrapped: carets point at columns
    coloured = errors.is_terminal and not errors.no_color
    typer.echo(render_text(diagnostics, colour=coloured), err=True, color=coloured)


def refuse(message: str, code: int = EXIT_FAILED) -> NoReturn:
    """Ends the command.

    Args:
        message: Why, one line.
        code: The exit code.
    """
    typer.echo(f"error: {message}", err=True)
    raise typer.Exit(code)


@contextmanager
def refusals_shown(path: Path) -> Iterator[None]:
    """Within it, a spec that cannot be used, or whose model cannot be built, ends the command with a message.

    Args:
        path: The spec's file.
    """
    from teaspec.compiler import SpecError

    try:
        yield
    except SpecError as error:
        show_diagnostics(error.diagnostics)
        raise typer.Exit(EXIT_FAILED) from error
    except Exception as error:
        from teaspec.proof.build import ProbeError

        if isinstance(error, ProbeError):
            refuse(f"{path}: {error}")
        raise
