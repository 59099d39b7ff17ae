"""The command line: the only package that prints or exits. One file a command; each puts itself into `app`."""

from __future__ import annotations

import sys
import traceback
from typing import NoReturn

import typer

from teaspec.cli import (  # noqa: F401 - importing a command adds it
    calibrate,
    check,
    compare,
    compile,
    demo,
    explain,
    init,
    list,
    schema,
)
from teaspec.cli.root import BUG, EXIT_BUG, app

__all__ = ["app", "main"]


def main() -> NoReturn:
    """Runs the command line; an exception that reaches this point is a bug in teaspec."""
    try:
        app()
    except Exception as error:
        if "--debug" in sys.argv:
            typer.echo(traceback.format_exc().rstrip(), err=True)
        summary = " ".join(f"{type(error).__name__}: {error}".split())
        typer.echo(f"internal error: {summary}\n{BUG}", err=True)
        sys.exit(EXIT_BUG)
    sys.exit(0)
