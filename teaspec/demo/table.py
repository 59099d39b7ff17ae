"""What the demo found with one model, for a terminal."""

from __future__ import annotations

from rich import box
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from teaspec.demo.result import Cached, Comparison, DemoResult

_COLUMNS = (
    *("\norder", "calls\ncomputed", "\nseconds", "time\nratio", "\nspread", "flop\nratio"),
    "PSNR\ndB",
)


def render(result: DemoResult) -> RenderableType:
    """Lays the result out as tables with their notes."""
    tables = [_table(comparison, result.settings.model) for comparison in result.comparisons]
    return Group(Text(_heading(result)), *tables, *(Text(note) for note in _notes(result)))


def _heading(result: DemoResult) -> str:
    settings = result.settings
    return (
        f"{result.pipeline}, {result.parameters / 1e6:.1f} M parameters, {settings.steps} steps, "
        f"{settings.count} {settings.model} at once, cpu with {result.threads} threads"
    )


def _table(comparison: Comparison, made: str) -> Table:
    uncached = comparison.uncached
    guidance = uncached.guidance
    table = Table(
        box=box.SIMPLE,
        pad_edge=False,
        collapse_padding=True,
        title=f"true CFG, scale {guidance:g}: two calls a step" if guidance > 1 else "no guidance: one call a step",
        title_justify="left",
    )
    table.add_column("\nthreshold", no_wrap=True)
    for name in (*_COLUMNS, f"{made}\nread"):
        table.add_column(name, justify="right", no_wrap=True)
    calls = str(comparison.cached[0].calls)
    seconds = f"{uncached.seconds.median:.2f}"
    table.add_row("uncached", "", calls, seconds, "1.000", "", "1.000", "", f"{uncached.accuracy:.1%}")
    for one in comparison.cached:
        table.add_row(*_row(one))
    return table


def _row(one: Cached) -> tuple[str, ...]:
    ratio = one.time_ratio
    return (
        f"{one.setting.threshold:g}",
        str(one.setting.order),
        str(one.computed),
        f"{one.seconds.median:.2f}",
        f"{ratio.median:.3f}",
        f"{(ratio.high - ratio.low) / ratio.median:.1%}",
        f"{one.flop_ratio:.3f}",
        f"{one.psnr:.1f}",
        f"{one.accuracy:.1%}",
    )


def _notes(result: DemoResult) -> list[str]:
    cost, flops, made = result.hook_cost, result.flops, result.settings.model
    return [
        f"Medians of {result.settings.rounds} interleaved rounds; spread: range of time ratio / median. PSNR: to the "
        f"uncached {made}. Read: share of {result.reading}. Order: residual_order{_limits(result)}.",
        f"A reused call takes {flops.reused / flops.full:.1%} of the operations of an uncached one.",
        f"A computed call with the hook takes {cost.ratio.median:.4f} times as long as without it "
        f"({1e3 * cost.hooked.median:.1f} ms, {1e3 * cost.plain.median:.1f} ms; medians of {cost.ratio.count} pairs).",
        f"Coefficients: {list(result.settings.coefficients)}.",
        f"The {made}: {result.sheet}. The decisions: {result.figure}.",
        f"This took {result.elapsed:.0f} s.",
    ]


def _limits(result: DemoResult) -> str:
    limits = {f"{setting.limit:g}" for setting in result.settings.cached if setting.order}
    return f"; with 1, residual_limit is {' or '.join(sorted(limits))}" if limits else ""
