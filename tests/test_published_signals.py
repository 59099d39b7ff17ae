"""The signal of each published model, by its published formula, against the one that the compiled extractor gives.

A formula is written out by hand, from the script that its docstring names, on what enters the model or its first block.
What enters the block is seen in a call of the model itself, without any extractor.
"""

from __future__ import annotations

import inspect
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import nn
from torch.utils._pytree import tree_map

import tests.published_signals.images
import tests.published_signals.videos  # noqa: F401 - each registers its formulas
from teaspec.compiler import compile_spec, load_spec
from teaspec.compiler.passes.import_model import import_model
from teaspec.proof.inputs import Example
from teaspec.proof.run import surroundings
from teaspec.proof.subject import Subject
from tests.published_signals.seen import FORMULAS, Seen

SPECS = Path(__file__).parents[1] / "specs"


@cache
def subject_of(name: str, variant: str | None) -> Subject:
    spec = load_spec(SPECS / f"{name}.yaml")
    return Subject(spec if variant is None else spec.for_variant(variant), import_model(spec), compile_spec)


def first_block(subject: Subject, module: nn.Module) -> nn.Module:
    steps = subject.spec.norm.split(".")
    index = next(place for place, step in enumerate(steps) if step.isdigit())
    return module.get_submodule(".".join(steps[: index + 1]))


def see(subject: Subject, example: Example) -> Seen:
    """Calls the model itself."""
    module, call = subject.module(example), subject.arguments(example).kwargs
    block = first_block(subject, module)
    inputs: dict[str, Any] = {}

    def keep(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        bound = inspect.signature(type(block).forward).bind(block, *args, **kwargs)
        inputs.update(tree_map(lambda leaf: leaf.clone() if isinstance(leaf, torch.Tensor) else leaf, bound.arguments))

    handle = block.register_forward_pre_hook(keep, with_kwargs=True)
    subject.call(example, subject.arguments(example))
    handle.remove()
    assert inputs, "the first block did not run"
    return Seen(module, call, block, inputs)


def test_every_published_signal_has_its_formula() -> None:
    """A set without coefficients is no claim about a signal."""
    missing = []
    for name, sets in yaml.safe_load((Path(__file__).parent / "published.yaml").read_text(encoding="utf-8")).items():
        spec = load_spec(SPECS / f"{name}.yaml")
        tested = {spec.signal if key is None else spec.for_variant(key).signal for one, key in FORMULAS if one == name}
        claimed = {one["signal"] for one in sets.values() if one["status"] != "none"}
        missing += [(name, signal) for signal in claimed - tested]
    assert missing == []


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=["float32", "bfloat16"])
@pytest.mark.parametrize(("name", "variant"), FORMULAS, ids=lambda value: value or "base")
def test_the_signal_is_the_published_one(name: str, variant: str | None, dtype: torch.dtype) -> None:
    subject = subject_of(name, variant)
    with surroundings(), torch.no_grad():
        for case, probe in enumerate(subject.alternatives):
            dims = {dim: high for dim, (_, high) in probe.dims.items()}
            optional = frozenset(key for key, given in probe.inputs.items() if given.optional)
            for present in (frozenset(), optional):
                example = Example(case, dtype, dims, present, None, 0, seed=case)
                seen = see(subject, example)
                context = subject.extractor(example)(seen.module, **subject.arguments(example).kwargs)
                expected = FORMULAS[name, variant](seen)
                assert context.modulated_input.dtype == expected.dtype
                assert torch.equal(context.modulated_input, expected), f"case {case}"
