"""`teaspec list`: every class that has a spec."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from teaspec.cli.files import find_spec, is_shipped, require_readable
from teaspec.cli.refusals import refusals_shown
from teaspec.cli.root import Debug, Format, app, get_console


@app.command("list")
def list_models(
    model: Annotated[
        str | None,
        typer.Argument(metavar="[CLASS]", help="Everything about one class; also the name of a spec, or its file."),
    ] = None,
    output_format: Annotated[
        Format | None,
        typer.Option("--format", show_default="text on a terminal, else concise", help="How to write the table."),
    ] = None,
    _debug: Debug = False,
) -> None:
    """Show every class that has a spec, or all about one: calibration, thresholds, what is cached, what steps cost."""
    if model is not None:
        _list_one(model, output_format or Format.TEXT)
        return
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


def _list_one(named: str, output_format: Format) -> None:
    from teaspec.catalog import SpecExtractor
    from teaspec.models.details import as_text, details_of
    from teaspec.models.facts import load_table
    from teaspec.models.users import facts_of

    path = find_spec(Path(named)).path
    require_readable(path)
    extractor = SpecExtractor(path)
    with refusals_shown(path, output_format):
        facts = facts_of(extractor)
    shipped = {model.spec: model for model in load_table().models} if is_shipped(path) else {}
    facts = shipped.get(path.name, facts)
    details = details_of(facts, extractor)
    typer.echo(json.dumps(details, indent=2) if output_format is Format.JSON else as_text(details, facts))
