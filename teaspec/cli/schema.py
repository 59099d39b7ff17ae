"""`teaspec schema`: the JSON Schema of a spec."""

from __future__ import annotations

import typer

from teaspec.cli.outputs import write_output
from teaspec.cli.root import Debug, Output, app


@app.command()
def schema(output: Output = None, _debug: Debug = False) -> None:
    """Print or write the JSON Schema of a spec, with which editors complete and check."""
    from teaspec.authoring.schema import schema_text

    text = schema_text()
    if output is None:
        typer.echo(text, nl=False)
        return
    write_output(output, text)
