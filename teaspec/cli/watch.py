"""`teaspec check --watch`: checks again whenever a spec, or the file of its model, is saved."""

from __future__ import annotations

import importlib.util
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from teaspec.cli.refusals import refuse
from teaspec.cli.root import get_console

if TYPE_CHECKING:
    from teaspec.batch.checked import Checked
    from teaspec.batch.checker import Settings
    from teaspec.batch.rechecker import Rechecker
    from teaspec.batch.watch import Watched

Show = Callable[[list["Checked"]], None]


def watch_files(paths: Sequence[Path], settings: Settings, show: Show) -> None:
    """Checks specs, and again whenever one is saved, until it is interrupted.

    Args:
        paths: The files of the specs.
        settings: How they are checked.
        show: Writes what became of the specs that were checked at one time.
    """
    if importlib.util.find_spec("watchfiles") is None:
        refuse("--watch needs the package watchfiles: `pip install teaspec[authoring]`")
    try:
        _watch(list(paths), settings, show)
    except KeyboardInterrupt:
        typer.echo(err=True)  # behind the ^C of a terminal


def _watch(paths: list[Path], settings: Settings, show: Show) -> None:
    from teaspec.batch.rechecker import Rechecker
    from teaspec.batch.watch import Watched, wait_for_saves

    watched = Watched(paths)
    with Rechecker(settings) as rechecker:
        _check(paths, rechecker, watched, show)
        for _ in wait_for_saves(watched):
            again, models = watched.saved()
            if not again:
                continue
            names = ", ".join(str(path) for path in [*(path for path in again if not models), *models])
            typer.echo(f"\n{time.strftime('%H:%M:%S')} saved: {names}", err=True)
            if models:
                rechecker.renew()  # an interpreter keeps the source that it has imported
            _check(again, rechecker, watched, show)


def _check(paths: list[Path], rechecker: Rechecker, watched: Watched, show: Show) -> None:
    watched.note(paths)
    results = []
    with get_console(stderr=True).status(f"checking {', '.join(path.name for path in paths)}"):
        for path in paths:
            results.append(rechecker.check(path))
            watched.learn(results[-1])
    show(results)
    typer.echo("watching what was checked; Ctrl-C ends", err=True)
