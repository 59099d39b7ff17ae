"""Generated modules as people format theirs, where black is installed."""

from __future__ import annotations

_LINE_LENGTH = 120


def formatted(text: str) -> tuple[str, tuple[str, ...]]:
    """Formats a module with black, if there is one; black itself makes sure that it means the same afterwards.

    Args:
        text: The module.

    Returns:
        The module, and the packages by whose versions its looks are decided: none where black is not installed and
        the text is what it was.
    """
    try:
        import black
        from black.mode import Mode, TargetVersion
        from black.report import NothingChanged
    except ModuleNotFoundError:
        return text, ()
    mode = Mode(line_length=_LINE_LENGTH, target_versions={TargetVersion.PY310})
    try:
        return black.format_file_contents(text, fast=False, mode=mode), ("black",)
    except NothingChanged:
        return text, ("black",)
