"""The specs of users in the table of models, as far as a spec alone tells: nothing is imported for it."""

from __future__ import annotations

import dataclasses

from teaspec.catalog import SpecExtractor
from teaspec.catalog.found import find_user_specs
from teaspec.models.facts import ModelFacts, Table, thresholds_of
from teaspec.runtime.calibrations.registry import get_extractor, known_types


def with_user_specs(table: Table) -> Table:
    """Adds the registered specs of users to the shipped ones, and takes out those whose place they take.

    Args:
        table: The shipped facts.
    """
    paths = {one.path for one in find_user_specs()}
    extractors = {name: get_extractor(name) for name in known_types()}
    users = {e.path: e for e in extractors.values() if isinstance(e, SpecExtractor) and e.path in paths}
    theirs = [facts_of(extractor) for extractor in users.values()]
    names = {model.name for model in theirs}
    models = sorted([*(m for m in table.models if m.name not in names), *theirs], key=lambda model: model.name)
    return dataclasses.replace(table, models=tuple(models))


def facts_of(extractor: SpecExtractor) -> ModelFacts:
    """What a spec alone tells about its class.

    Args:
        extractor: The spec's.
    """
    spec = extractor.spec
    facts = spec.teacache
    return ModelFacts(
        name=spec.class_name,
        aliases=tuple(spec.aliases),
        spec=spec.document.name,
        style=spec.blocks.style,
        signal=spec.signal,
        status=facts.status,
        variants=len(facts.variants),
        thresholds=thresholds_of(extractor.defaults),
        residuals=(),
        carried=(),
        arguments=tuple(spec.blocks.carried),
        still=spec.blocks.frozen or "",
        untried=dict(spec.probe.untried),
        cost=None,
    )
