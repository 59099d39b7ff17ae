"""Files that a command writes."""

from __future__ import annotations

from pathlib import Path

import typer

from teaspec.cli.refusals import refuse
from teaspec.cli.root import EXIT_USAGE


def write_output(path: Path, text: str) -> None:
    """Writes a file if it changes, and says whether it did; ends the command where it cannot be written.

    Args:
        path: The file.
        text: What it is to hold.
    """
    from teaspec.authoring.standalone import write_if_changed

    try:
        written = write_if_changed(path, text)
    except OSError as error:
        refuse(f"{path} cannot be written: {error.strerror}", EXIT_USAGE)
    typer.echo(f"{path}: {'written' if written else 'unchanged'}", err=True)
