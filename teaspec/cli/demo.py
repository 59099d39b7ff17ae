"""`teaspec demo`: small trained models, uncached and cached, measured."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from teaspec.cli.root import EXIT_FAILED, EXIT_USAGE, Debug, app, get_console


@app.command()
def demo(
    output: Annotated[Path, typer.Option(help="Folder for the pictures.")] = Path("teaspec-demo"),
    _debug: Debug = False,
) -> None:
    """Generate digits with a small FLUX and videos of them with a small Wan, uncached and cached, and measure."""
    from teaspec.demo import DIGITS, VIDEOS, run
    from teaspec.demo.table import render

    if output.exists() and not output.is_dir():
        typer.echo(f"error: {output} is a file; --output names a folder", err=True)
        raise typer.Exit(EXIT_USAGE)
    try:
        # A line for each stage: a spinner would take time from what is being timed.
        for settings in (DIGITS, VIDEOS):
            result = run(output, settings, report=lambda stage: typer.echo(f"demo: {stage}", err=True))
            get_console().print(render(result))
    except ModuleNotFoundError as error:
        typer.echo(f"error: {error}; the demo needs `pip install teaspec[demo]`", err=True)
        raise typer.Exit(EXIT_FAILED) from error
