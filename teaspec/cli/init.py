"""`teaspec init`: a spec drafted from the model's class."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from teaspec.cli.files import find_model
from teaspec.cli.refusals import refuse
from teaspec.cli.root import EXIT_USAGE, Debug, app


@app.command()
def init(
    model: Annotated[
        str,
        typer.Argument(
            metavar="CLASS",
            help="package.module:Class, package.module.Class, a class of diffusers, or a spec, drafted anew.",
        ),
    ],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", show_default="the terminal", help="The file; never overwritten.")
    ] = None,
    _debug: Debug = False,
) -> None:
    """Draft a spec from the class alone: landmarks, a tiny config and inputs that run. Imports the class."""
    if output is not None and output.exists():
        refuse(f"{output} exists; a draft overwrites nothing", EXIT_USAGE)
    from teaspec.authoring.schema import modeline
    from teaspec.compiler import SpecError
    from teaspec.draft.construct import ConstructionError
    from teaspec.draft.draft import DraftError, draft_spec
    from teaspec.draft.landmarks import NoLandmarksError

    try:
        draft = draft_spec(find_model(model))
    except (ConstructionError, DraftError, NoLandmarksError) as error:
        refuse(str(error))
    except SpecError as error:
        refuse(error.diagnostics[0].message)
    text = f"{modeline(output and output.parent)}\n{draft.text}"
    if output is None:
        typer.echo(text, nl=False)
    else:
        try:
            output.write_text(text, encoding="utf-8")
        except OSError as error:
            refuse(f"{output} cannot be written: {error.strerror}", EXIT_USAGE)
        typer.echo(f"{output}: drafted; look at it, then `teaspec check {output}`", err=True)
    for unfinished in filter(None, (draft.landmarks.error and "the landmarks", draft.probe.error and "the probe")):
        typer.echo(f"{unfinished} of this draft need a person; its comments say why", err=True)
