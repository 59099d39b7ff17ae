"""`teaspec compile`: the generated extractor, printed or written to a file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from teaspec.cli.files import require_readable
from teaspec.cli.refusals import refusals_shown, refuse
from teaspec.cli.root import EXIT_USAGE, Allow, Debug, Diagnostics, Format, app


@app.command("compile")
def compile_to_file(
    spec: Annotated[Path, typer.Argument(metavar="SPEC", help="A spec file, for example specs/flux.yaml.")],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", show_default="the terminal", help="The file; written only if it changes."),
    ] = None,
    case: Annotated[
        int, typer.Option(min=0, help="For which config of the probe: 0 is its base, 1 its first case.")
    ] = 0,
    output_format: Diagnostics = Format.TEXT,
    allow: Allow = None,
    _debug: Debug = False,
) -> None:
    """Print or write the Python module that a spec compiles to; it can be imported by itself."""
    require_readable(spec)
    from teaspec.compiler import load_spec

    with refusals_shown(spec, output_format):
        loaded = load_spec(spec)
        if case > len(loaded.probe.cases):
            raise typer.BadParameter(f"the probe has {len(loaded.probe.cases)} cases", param_hint="--case")
        # diffusers is imported here at the earliest: a spec with a typo is answered at once
        from teaspec.authoring.build import compile_for_probe
        from teaspec.authoring.standalone import NotStandaloneError, standalone, write_if_changed

        try:
            text = standalone(loaded, compile_for_probe(loaded, allow or (), case))
        except NotStandaloneError as error:
            refuse(f"{spec}: {error}")
    if output is None:
        typer.echo(text, nl=False)
        return
    try:
        written = write_if_changed(output, text)
    except OSError as error:
        refuse(f"{output} cannot be written: {error.strerror}", EXIT_USAGE)
    typer.echo(f"{output}: {'written' if written else 'unchanged'}", err=True)
