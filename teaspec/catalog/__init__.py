"""Joins the compiler to the runtime: registers extractors for specs, for the shipped ones and for those of users."""

from __future__ import annotations

from teaspec.catalog.extractor import SpecExtractor
from teaspec.catalog.shipped import register_shipped_specs, shipped_folder, shipped_specs
from teaspec.runtime.calibrations.registry import add_source

__all__ = ["SpecExtractor", "register_at_import", "shipped_folder", "shipped_specs"]


def register_at_import() -> None:
    """Registers the shipped specs at once, and those of users as soon as an extractor is asked for."""
    register_shipped_specs()
    add_source(_register_user_specs)


def _register_user_specs() -> None:
    from teaspec.catalog.users import register_user_specs  # looking for them is slow

    register_user_specs()
