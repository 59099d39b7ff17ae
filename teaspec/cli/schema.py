"""`teaspec schema`: the JSON Schema of a spec."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from teaspec.cli.refusals import refuse
from teaspec.cli.root import EXIT_USAGE, Debug, app


@app.command()
def schema(
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", show_default="the terminal", help="The file; written only if it changes."),
    ] = None,
    _debug: Debug = False,
) -> None:
    """Print or write the JSON Schema of a spec, with which editors complete and check."""
    from teaspec.authoring.schema import schema_text
    from teaspec.authoring.standalone import write_if_changed

    text = schema_text()
    if output is None:
        typer.echo(text, nl=False)
        return
    try:
        written = write_if_changed(output, text)
    except OSError as error:
        refuse(f"{output} cannot be written: {error.strerror}", EXIT_USAGE)
    typer.echo(f"{output}: {'written' if written else 'unchanged'}", err=True)
