"""The table of one transformer, in Markdown."""

from __future__ import annotations

from card.measure import Table
from card.models import Built
from card.ways import PLAIN

HEAD = ("way", "a step, ms", "of a step without a cache", "of its operations", "device idle", "MiB held")


def as_markdown(title: str, built: Built, table: Table) -> str:
    """Returns the title, the table and what failed."""
    plain = next((row for row in table.rows if row.way == PLAIN), None)
    lines = [
        f"\n{title}: {built.blocks} of {built.published} blocks; medians (quartiles)\n",
        "| " + " | ".join(HEAD) + " |",
        "|" + " --- |" * len(HEAD),
    ]
    for row in table.rows:
        cells = (
            row.way,
            row.seconds.text(1e3, 2),
            "" if plain is None else f"{row.seconds.median / plain.seconds.median:.3f}",
            "" if plain is None else f"{row.operations / plain.operations:.1%}",
            "" if row.idle is None else f"{row.idle:.1%}",
            "" if row.held is None else f"{row.held / 2**20:.1f}",
        )
        lines.append("| " + " | ".join(cells) + " |")
    lines += [f"\n{name}: `{error}`" for name, error in table.failures.items()]
    return "\n".join(lines) + "\n"
