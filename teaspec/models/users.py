"""The specs of users in the table of models, as far as a spec alone tells: nothing is imported for it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from teaspec.catalog import SpecExtractor
from teaspec.catalog.found import find_user_specs
from teaspec.models.facts import ModelFacts, Table
from teaspec.runtime.calibrations.registry import get_extractor, known_types

if TYPE_CHECKING:
    from teaspec.compiler import Spec


def with_user_specs(table: Table) -> Table:
    """Adds the registered specs of users to the shipped ones, and takes out those whose place they take.

    Args:
        table: The shipped facts.
    """
    paths = {one.path for one in find_user_specs()}
    extractors = {name: get_extractor(name) for name in known_types()}
    users = {e.path: e.spec for e in extractors.values() if isinstance(e, SpecExtractor) and e.path in paths}
    theirs = [_facts(spec) for spec in users.values()]
    names = {model.name for model in theirs}
    models = sorted([*(m for m in table.models if m.name not in names), *theirs], key=lambda model: model.name)
    return dataclasses.replace(table, models=tuple(models))


def _facts(spec: Spec) -> ModelFacts:
    facts = spec.teacache
    return ModelFacts(
        name=spec.class_name,
        aliases=tuple(spec.aliases),
        spec=spec.document.name,
        style=spec.blocks.style,
        signal=spec.signal,
        status=facts.status,
        variants=len(facts.variants),
        residuals=(),
        carried=(),
        arguments=tuple(spec.blocks.carried),
        still=spec.blocks.frozen or "",
        untried=dict(spec.probe.untried),
        cost=None,
    )
