"""The documentation of diagnostic codes: sections of docs/diagnostics.md."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path


def get_section(code: str) -> str:
    """The section about a code.

    Args:
        code: One of the catalogue.

    Returns:
        It as Markdown, the heading included.

    Raises:
        KeyError: The page has no such section.
        FileNotFoundError: The page is not installed.
    """
    return sections()[code]


@lru_cache(maxsize=1)
def sections() -> dict[str, str]:
    """All sections by their codes, in the order of the page.

    Raises:
        FileNotFoundError: The page is not installed.
    """
    found: dict[str, list[str]] = {}
    code, fenced = None, False
    for line in _find_page().read_text(encoding="utf-8").splitlines():
        fenced ^= line.startswith("```")
        if not fenced and line.startswith("### `"):
            code = line.removeprefix("### `").removesuffix("`")
        elif not fenced and line.startswith("#"):
            code = None
        if code is not None:
            found.setdefault(code, []).append(line)
    return {code: "\n".join(lines).strip() + "\n" for code, lines in found.items()}


def _find_page() -> Path:
    """The page inside an installed package, or in the checkout of an editable install."""
    package = Path(__file__).parents[1]
    places = (package / "docs" / "diagnostics.md", package.parent / "docs" / "diagnostics.md")
    for place in places:
        if place.is_file():
            return place
    raise FileNotFoundError(f"docs/diagnostics.md is not part of this installation; looked for {places[0]}")
