"""`teaspec list`: every class that has a spec."""

from __future__ import annotations

from typing import Annotated

import typer

from teaspec.cli.root import Debug, Format, app, get_console


@app.command("list")
def list_models(
    output_format: Annotated[
        Format | None,
        typer.Option("--format", show_default="text on a terminal, else concise", help="How to write the table."),
    ] = None,
    _debug: Debug = False,
) -> None:
    """Show every class that has a spec: calibration, what is cached, what a reused step costs."""
    from teaspec.models.facts import as_json, load_table
    from teaspec.models.installed import as_installed
    from teaspec.models.show import as_lines, as_table
    from teaspec.models.users import with_user_specs

    table, console = with_user_specs(as_installed(load_table())), get_console()
    if output_format is Format.JSON:
        typer.echo(as_json(table), nl=False)
    elif output_format is Format.TEXT or (output_format is None and console.is_terminal):
        console.print(as_table(table))
    else:
        typer.echo("\n".join(as_lines(table)))
