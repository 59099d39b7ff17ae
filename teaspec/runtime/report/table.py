"""The tables that `teaspec.stats` prints as."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table

if TYPE_CHECKING:
    from teaspec.runtime.report.data import BranchStats, Totals, TransformerStats
    from teaspec.runtime.rules.record import Decision

_SIZES = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def render(stats: Totals) -> RenderableType:
    """Returns a summary of all branches, then the steps of each."""
    parts: list[RenderableType] = [_summary(stats), *map(_in_sum, stats.transformers)]
    parts += [_steps(one, branch) for one in stats.transformers for branch in one.branches]
    return Group(*parts)


def size(count: int) -> str:
    """Returns a number of bytes as people read it."""
    unit, name = next(((unit, name) for unit, name in _SIZES if count >= unit), (1, "B"))
    return f"{count / unit:.3g} {name}" if unit > 1 else f"{count} B"


def _summary(stats: Totals) -> Table:
    table = Table(title="TeaCache", title_justify="left", show_footer=True)
    table.add_column("transformer", f"saved about {stats.saved_seconds:.3g} s, holds {size(stats.bytes_held)}")
    table.add_column("branch")
    table.add_column("computed", str(stats.computed), justify="right")
    table.add_column("reused", str(stats.reused), justify="right")
    for title in ("computed call", "reused call", "saved", "held"):
        table.add_column(title, justify="right")
    for one in stats.transformers:
        for number, branch in enumerate(one.branches):
            table.add_row(
                one.name if number == 0 else "",
                branch.branch,
                *(str(branch.computed), str(branch.reused)),
                *(_milliseconds(branch.computed_seconds), _milliseconds(branch.reused_seconds)),
                _milliseconds(branch.saved_seconds),
                size(one.bytes_held) if number == 0 else "",
            )
        if not one.branches:
            table.add_row(one.name, "nothing decided yet")
    return table


def _in_sum(one: TransformerStats) -> str:
    sums = one.sums
    return (
        f"{one.name}: variant {one.variant}, {one.rule}; {sums.generations} generations in sum, {sums.computed} calls "
        f"computed, {sums.reused} reused, at most {size(one.most_bytes)} held"
    )


def _steps(transformer: TransformerStats, branch: BranchStats) -> Table:
    title = f"{transformer.name}, branch {branch.branch}, {transformer.rule}"
    table = Table(title=title, title_justify="left")
    table.add_column("step", justify="right")
    for name in transformer.columns:
        table.add_column(name, justify="right")
    table.add_column("decision")
    table.add_column("reason")
    for decision in branch.decisions:
        table.add_row(*_row(decision, transformer.columns))
    return table


def _row(decision: Decision, columns: tuple[str, ...]) -> tuple[str, ...]:
    numbers = map(decision.numbers.get, columns)
    values = ("" if number is None else f"{number:.4f}" for number in numbers)
    return (str(decision.step), *values, decision.decision, decision.reason)


def _milliseconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds * 1000:.3g} ms"
