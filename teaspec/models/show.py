"""The table of the classes for a terminal, and one line for each of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from teaspec.models.facts import ModelFacts, Table

if TYPE_CHECKING:
    import rich.table

_HEADINGS = ("class", "spec", "style", "signal", "calibration", "thresholds", "cached", "reused step")


def as_table(table: Table) -> rich.table.Table:
    """The table as rich shows it; a name too long for its column is broken, not cut."""
    from rich import box
    from rich.table import Table as RichTable

    shown = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in _HEADINGS:
        shown.add_column(heading, overflow="fold", justify="right" if heading == "reused step" else "left")
    for model in table.models:
        shown.add_row(*_cells(model, "\n"))
    return shown


def as_lines(table: Table) -> Iterator[str]:
    """One line for each class: the columns of the table, separated by tabs."""
    for model in table.models:
        yield "\t".join(_cells(model, ", "))


def _cells(model: ModelFacts, separator: str) -> tuple[str, ...]:
    cached = [*model.residuals, *(f"{name} (carried)" for name in model.carried)]
    names = separator.join([model.name, *model.aliases])
    spec = model.spec.removesuffix(".yaml")
    published = (model.calibration, model.range)
    return names, spec, model.style, model.signal, *published, separator.join(cached), model.reused_step
