"""What the commands share that run a user's pipeline: its arguments, its dtype, its prompts, and a bar meanwhile."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from teaspec.cli.refusals import refuse
from teaspec.cli.root import EXIT_USAGE, get_console

if TYPE_CHECKING:
    import torch

Set = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="NAME=VALUE", show_default=False, help="An argument of the pipeline. Repeatable."),
]
Device = Annotated[str, typer.Option(help="Where the pipeline of a folder runs.")]
Dtype = Annotated[str | None, typer.Option(show_default="as it is", help="float32, bfloat16 or float16.")]


def find_dtype(name: str | None) -> torch.dtype | None:
    """Returns the dtype that `--dtype` names.

    Raises:
        typer.BadParameter: If it names another.
    """
    import torch

    if name not in (None, "float32", "bfloat16", "float16"):
        raise typer.BadParameter(f"expected float32, bfloat16 or float16, found {name}", param_hint="--dtype")
    return None if name is None else getattr(torch, name)


def prompts_of(path: Path) -> list[str]:
    """Reads the file of prompts; ends the command where it cannot be read.

    Raises:
        ValueError: If there is no prompt in it.
    """
    from teaspec.pipelines.prompts import read_prompts

    try:
        return read_prompts(path)
    except OSError as error:
        refuse(f"{path} cannot be read: {error.strerror}", EXIT_USAGE)


def named_values(texts: list[str] | None, option: str) -> dict[str, Any]:
    """Reads NAME=VALUE; a value is JSON, or a text without quotes.

    Args:
        texts: What was given.
        option: The option that it was given with.

    Raises:
        typer.BadParameter: If one is not of this form.
    """
    return dict(_named_value(text, option) for text in texts or ())


def _named_value(text: str, option: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise typer.BadParameter(f"expected NAME=VALUE, found {text}", param_hint=option)
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value


@contextmanager
def refused(*kinds: type[Exception], code: int) -> Iterator[None]:
    """Within it, what says what is wrong ends the command with its message.

    Args:
        kinds: Exceptions that do.
        code: The exit code.
    """
    try:
        yield
    except kinds as error:
        refuse(str(error), code)


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[], None]]:
    """A bar on a terminal, nothing elsewhere; and what moves it.

    Args:
        what: What is being done.
        total: How often it is.
    """
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    console = get_console(stderr=True)
    with Progress(
        *(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    ) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)
