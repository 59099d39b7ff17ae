"""The facts about a class, from its spec and from what the compiler makes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from teaspec.catalog import SpecExtractor
from teaspec.compiler import compile_spec
from teaspec.compiler.forms.spec import Spec
from teaspec.compiler.passes.import_model import import_model
from teaspec.models.facts import Cost, ModelFacts, thresholds_of
from teaspec.proof.reuse import moves_with_time
from teaspec.proof.run import surroundings
from teaspec.proof.subject import Subject
from tools.models.build import on_meta


def gather(spec: Spec, file: str, cost: Cost | None) -> ModelFacts:
    """Puts the facts about a class together.

    Args:
        spec: Its spec.
        file: The name of the spec's file.
        cost: What its steps cost; None where that is not counted.
    """
    program = _program(spec)
    facts = spec.teacache
    return ModelFacts(
        name=spec.class_name,
        aliases=tuple(spec.aliases),
        spec=file,
        style=spec.blocks.style,
        signal=spec.signal,
        status=facts.status,
        variants=len(facts.variants),
        thresholds=thresholds_of(SpecExtractor(Path(file), spec).defaults),
        residuals=tuple(value.name for value in program.live if value.kind == "stream"),
        carried=tuple(value.name for value in program.live if value.kind == "carried"),
        arguments=tuple(spec.blocks.carried),
        still=_still(spec),
        untried=dict(spec.probe.untried),
        cost=cost,
    )


def _still(spec: Spec) -> str:
    """Why a reused step stands still, as the spec says, or as the probe shows."""
    if spec.blocks.frozen is not None:
        return spec.blocks.frozen
    subject = Subject(spec, import_model(spec), compile_spec)
    with surroundings():
        return TIMELESS if moves_with_time(subject, subject.largest) is False else ""


TIMELESS = "the timestep alone does not move it: the output head does not read it"


def _program(spec: Spec) -> Any:
    """What is cut where in the base of the probe. What is cached depends on the class, not on its sizes."""
    module: torch.nn.Module = on_meta(import_model(spec), spec.probe.config)
    return compile_spec(spec, module).program
