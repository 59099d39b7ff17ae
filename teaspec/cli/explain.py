"""`teaspec explain`: what goes where in a model's forward; or what a diagnostic code means."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from teaspec.cli.files import find_spec, load_for_case, require_readable, spec_names
from teaspec.cli.outputs import write_output
from teaspec.cli.refusals import refusals_shown, refuse
from teaspec.cli.root import EXIT_USAGE, Allow, Case, Debug, Diagnostics, Format, app, get_console

if TYPE_CHECKING:
    from rich.console import RenderableType

    from teaspec.explain.explanation import Explanation

_CODE_WIDTH = 160
_MESSAGE_WIDTH = 128


@app.command()
def explain(
    what: Annotated[
        str,
        typer.Argument(
            metavar="SPEC|CODE",
            help="A spec file, its name, or a class that has one; or the code of a diagnostic: unknown-head.",
        ),
    ],
    html: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", show_default="the terminal", help="Write a page for a browser; needs no other file."
        ),
    ] = None,
    case: Case = 0,
    output_format: Diagnostics = Format.TEXT,
    allow: Allow = None,
    _debug: Debug = False,
) -> None:
    """Show a model's forward with what goes where and what is cached; or what a diagnostic code means."""
    found = find_spec(Path(what))
    if _is_code(what) and not found.path.exists():
        _explain_code(what)
        return
    require_readable(found.path)
    explanation = _explanation(found.path, case, [*(allow or ()), *found.allow], output_format)
    if html is None:
        _show(explanation)
        return
    from teaspec.explain.page import render_page

    write_output(html, render_page(explanation))


def _is_code(what: str) -> bool:
    """Whether a word looks like a code rather than like a file."""
    return re.fullmatch(r"[a-z][a-z0-9-]*", what) is not None


def _explain_code(code: str) -> None:
    from rich.markdown import Markdown

    from teaspec.compiler.report import CODES, did_you_mean
    from teaspec.explain.codes import get_section

    if code not in CODES:
        near = did_you_mean(code, [*CODES, *spec_names()]) or (
            "`teaspec explain` takes a spec, a class that has one, or one of the codes in docs/diagnostics.md",
        )
        refuse(f"there is no diagnostic code `{code}`, nor such a spec; {near[0]}", EXIT_USAGE)
    # a message in the text is as wide as a message may be
    _print(Markdown(get_section(code)), _MESSAGE_WIDTH)


def _explanation(path: Path, case: int, allow: list[str], output_format: Format) -> Explanation:
    with refusals_shown(path, output_format):
        loaded = load_for_case(path, case)
        # diffusers is imported here at the earliest: a spec with a typo is answered at once
        from teaspec.authoring.build import compile_for_probe
        from teaspec.explain.explanation import explain as explain_cut

        return explain_cut(loaded, compile_for_probe(loaded, allow, case))


def _show(explanation: Explanation) -> None:
    from teaspec.explain.terminal import TerminalView

    # beside each other on a wide terminal; elsewhere one below the other, however wide
    _print(TerminalView(explanation, beside=get_console().is_terminal), _CODE_WIDTH)


def _print(renderable: RenderableType, width: int) -> None:
    """Prints for a terminal's width; where there is none for the given one, without blanks at the ends of lines."""
    console = get_console()
    if console.is_terminal:
        console.print(renderable)
        return
    console.width = width
    with console.capture() as capture:
        console.print(renderable)
    typer.echo("\n".join(line.rstrip() for line in capture.get().split("\n")), nl=False)
