"""Outcomes as a table of the documentation, between two comments that stand there."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from tools.elsewhere.outcome import Outcome


def write_table(page: Path, name: str, head: str, outcomes: Iterable[Outcome]) -> None:
    """Puts a table in place of the one that stands on a page.

    Args:
        page: The page, with `<!-- name -->` and `<!-- /name -->` in it.
        name: The name in these comments.
        head: What stands over the table: versions and the date.
        outcomes: The rows.
    """
    text = page.read_text(encoding="utf-8")
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    if begin not in text or end not in text:
        raise ValueError(f"{page} has no place for the table: {begin} and {end}")
    rows = "\n".join(map(_row, outcomes))
    title = "| class | spec | properties | under its own hook | a reused step takes | left out of the shipped probe |"
    table = f"{begin}\n{head}\n\n{title}\n| --- | --- | --- | --- | --- | --- |\n{rows}\n{end}"
    page.write_text(re.sub(f"{begin}.*{end}", lambda _match: table, text, flags=re.DOTALL), encoding="utf-8")


def _row(outcome: Outcome) -> str:
    module, _, name = outcome.model.partition(":")
    reused = "" if outcome.reused is None else f"{outcome.reused:.1%}"
    cells = (
        f"{name} ({module.rpartition('.')[2]})",
        outcome.spec,
        outcome.verdict,
        outcome.served,
        reused,
        ", ".join(outcome.left_out),
    )
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"
