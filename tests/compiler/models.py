"""Real diffusers classes with the tiny configs of their specs' probes, and what each pass makes of them.

Eight well-known models, of which a test may say in detail what is expected. Every shipped spec is proven in
tests/test_specs.py.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from teaspec.compiler.forms.landmarks import Landmarks
from teaspec.compiler.forms.program import Program
from teaspec.compiler.forms.source import ModelSource
from teaspec.compiler.forms.spec import Spec
from teaspec.compiler.passes.import_model import import_model
from teaspec.compiler.passes.inline import inline
from teaspec.compiler.passes.locate import locate
from teaspec.compiler.passes.resolve import resolve
from teaspec.compiler.passes.slice import slice_forward
from teaspec.compiler.pipeline import load_spec
from tests.toys.toy import spec_text

NAMES = ("cogvideox", "flux", "hunyuan_video", "ltx", "lumina2", "qwen_image", "sd3", "wan")
SPECS = {name: Path(__file__).parents[2] / "specs" / f"{name}.yaml" for name in NAMES}


@cache
def spec_of(name: str) -> Spec:
    return load_spec(SPECS[name])


def build(name: str, **config: Any) -> nn.Module:
    """The probe model of a shipped spec, with seeded weights."""
    spec = spec_of(name)
    torch.manual_seed(0)
    model = import_model(spec)(**{**spec.probe.config, **config})
    return model.eval()


@cache
def source_of(name: str) -> ModelSource:
    return inline(spec_of(name), resolve(spec_of(name), build(name)))


@cache
def landmarks_of(name: str) -> Landmarks:
    return locate(spec_of(name), source_of(name))


@cache
def program_of(name: str) -> Program:
    return slice_forward(spec_of(name), source_of(name), landmarks_of(name))


def toy_spec(model: type[nn.Module], **spec: str) -> Spec:
    """A spec for a class of a test file."""
    return load_spec(spec_text(f"{model.__module__}:{model.__qualname__}", **spec))


def cut(model: nn.Module, **spec: str) -> Program:
    """What slice makes of an instance of a class of a test file."""
    made = toy_spec(type(model), **spec)
    source = inline(made, resolve(made, model))
    return slice_forward(made, source, locate(made, source))
