"""The shipped table as the installed version of diffusers has it."""

from __future__ import annotations

import dataclasses

from teaspec.models.facts import ModelFacts, Table
from teaspec.versions.history import history_of
from teaspec.versions.supported import installed


def as_installed(table: Table) -> Table:
    """Says of each class that the installed version lacks which ones have it; nothing is imported for that.

    Args:
        table: The shipped facts.
    """
    return dataclasses.replace(table, models=tuple(map(_as_installed, table.models)))


def _as_installed(model: ModelFacts) -> ModelFacts:
    history = history_of(f"diffusers.{model.name}")
    return dataclasses.replace(model, absent=history.lifetime) if history.is_absent_from(installed()) else model
