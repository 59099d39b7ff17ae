"""`teaspec compile`: the generated extractor, printed or written to a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from teaspec.cli.files import find_spec, load_for_case, require_readable
from teaspec.cli.outputs import write_output
from teaspec.cli.refusals import refusals_shown, refuse
from teaspec.cli.root import Allow, Case, Debug, Diagnostics, Format, Output, app


@app.command("compile")
def compile_to_file(
    named: Annotated[
        Path, typer.Argument(metavar="SPEC", help="A spec file, its name (flux), or a class that has one.")
    ],
    output: Output = None,
    case: Case = 0,
    output_format: Diagnostics = Format.TEXT,
    allow: Allow = None,
    _debug: Debug = False,
) -> None:
    """Print or write the Python module that a spec compiles to; it can be imported by itself."""
    found = find_spec(named)
    spec = found.path
    require_readable(spec)
    with refusals_shown(spec, output_format):
        loaded = load_for_case(spec, case)
        # diffusers is imported here at the earliest: a spec with a typo is answered at once
        from teaspec.authoring.build import compile_for_probe
        from teaspec.authoring.standalone import NotStandaloneError, standalone

        try:
            text = standalone(loaded, compile_for_probe(loaded, [*(allow or ()), *found.allow], case))
        except NotStandaloneError as error:
            refuse(f"{spec}: {error}")
    if output is None:
        typer.echo(text, nl=False)
        return
    write_output(output, text)
