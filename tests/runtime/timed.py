"""The probe of a spec, called at timesteps of the test's choice."""

from __future__ import annotations

from typing import Any

import diffusers
import pytest
import torch

from teaspec import compile_spec, load_spec
from teaspec.compiler.passes.import_model import import_model
from teaspec.proof.inputs import Arguments, Example
from teaspec.proof.subject import Subject
from teaspec.runtime.contract.signature import TIMESTEP_NAMES
from teaspec.versions.history import history_of
from tests.runtime.denoising import SPECS


class Timed:
    """A tiny model of a spec, with its extractor."""

    def __init__(self, name: str) -> None:
        self.spec = load_spec(SPECS / f"{name}.yaml")
        if history_of(self.spec.model).is_absent_from(diffusers.__version__):
            pytest.skip(f"diffusers {diffusers.__version__} has no {self.spec.class_name}")
        self._subject = Subject(self.spec, import_model(self.spec), compile_spec)
        self._dims = {key: min(max(2, low), high) for key, (low, high) in self._subject.alternatives[0].dims.items()}
        self.module: Any = self._subject.module(self._example(0))
        self.extractor = self._subject.extractor(self._example(0))

    def arguments(self, time: float, step: int = 0) -> Arguments:
        """Those of one call; time runs down from 1 to 0, and another step has other numbers in its tensors."""
        arguments = self._subject.arguments(self._example(step))
        for name in TIMESTEP_NAMES:
            given = arguments.kwargs.get(name)
            if isinstance(given, torch.Tensor):
                arguments.kwargs[name] = torch.full_like(given, time if given.is_floating_point() else 1000 * time)
        return arguments

    def _example(self, step: int) -> Example:
        tuples = False if "return_dict" in self._subject.parameters else None
        return Example(0, torch.float32, self._dims, frozenset(), tuples, positional=0, seed=0, step=step)
