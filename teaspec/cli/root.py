"""What the commands share: the program they belong to, exit codes, formats, and where they write to."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

import teaspec
from teaspec.versions.supported import UnsupportedVersionError, require_supported

if TYPE_CHECKING:
    from rich.console import Console

EXIT_FAILED = 1
EXIT_USAGE = 2
EXIT_BUG = 70

app = typer.Typer(name="teaspec", add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False)


class Format(str, Enum):
    """How results are written."""

    TEXT = "text"
    CONCISE = "concise"
    JSON = "json"


BUG = (
    "This is a bug in teaspec. Please report it with the output of the same command with --debug, and of "
    "`teaspec --version`."
)

Diagnostics = Annotated[
    Format, typer.Option("--format", help="How to write what is wrong with the spec; concise is a line each.")
]

Debug = Annotated[bool, typer.Option("--debug", help="Show the full traceback of an internal error.")]


Allow = Annotated[
    list[str] | None,
    typer.Option(
        "--allow",
        metavar="PACKAGE",
        envvar="TEASPEC_ALLOW",
        show_default=False,
        help="A package that models may come from besides diffusers; importing it runs its code. Can be repeated.",
    ),
]


Case = Annotated[int, typer.Option(min=0, help="For which config of the probe: 0 is its base, 1 its first case.")]

Output = Annotated[
    Path | None,
    typer.Option("-o", "--output", show_default="the terminal", help="The file; written only if it changes."),
]


def _show_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"teaspec {teaspec.__version__}")
        raise typer.Exit


@app.callback(help="TeaCache extractors for diffusion transformers, compiled from the models' own forwards.")
def _root(
    _version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Show the version and exit.")
    ] = False,
) -> None:
    try:
        require_supported()
    except UnsupportedVersionError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(EXIT_USAGE) from error


def get_console(*, stderr: bool = False) -> Console:
    """A console that adds nothing to what it is given: no highlighting, no markup.

    Args:
        stderr: Whether it writes to the error output.
    """
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, markup=False, emoji=False)
