"""The extractor of a spec, compiled for the tiny model of its probe."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import torch

from teaspec.compiler import CompiledExtractor, compile_spec
from teaspec.compiler.passes.import_model import import_model
from teaspec.proof.build import ProbeError
from teaspec.proof.inputs import Example
from teaspec.proof.subject import Subject

if TYPE_CHECKING:
    from teaspec.compiler import Spec


def compile_for_probe(spec: Spec, allow: Collection[str] = (), case: int = 0) -> CompiledExtractor:
    """Compiles a spec for a model that its probe describes.

    Args:
        spec: A checked spec.
        allow: Packages that the model may come from besides diffusers.
        case: Which of the probe's configs: 0 is the base, 1 its first case.

    Raises:
        SpecError: The model cannot or may not be imported, or the spec cannot be compiled for it.
        ProbeError: The probe's model cannot be built.
        IndexError: The probe has no such case.
    """
    subject = Subject(spec, import_model(spec, allow), compile_spec)
    if case < len(spec.probe.alternatives) and case not in subject.numbers:
        raise ProbeError(f"the installed version of the model does not have it: {'; '.join(subject.left_out)}")
    index = subject.numbers.index(case)
    smallest = {name: low for name, (low, _) in subject.alternatives[index].dims.items()}
    extractor: Any = subject.extractor(Example(index, torch.float32, smallest, frozenset(), None, 0, 0))
    compiled: CompiledExtractor = extractor
    return compiled
