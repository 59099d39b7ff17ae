"""The files of the digits model, for those who load it by hand."""

from __future__ import annotations

from pathlib import Path

from teaspec.demo.digits.model import DigitsModel


def load(folder: Path) -> DigitsModel:
    """Reads what `DigitsModel.save` wrote: everything in float32, in evaluation mode and without gradients."""
    return DigitsModel.load(folder)
