"""Drawing examples: hypothesis strategies made from the probe, and drawn examples as readable text."""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from hypothesis import strategies as st

from teaspec.compiler.forms.probe import Probe
from teaspec.proof.build import DTYPES
from teaspec.proof.compare import attributes_of
from teaspec.proof.inputs import Arguments, Example

_MAX_SEED = 2**16


@st.composite
def examples(draw: st.DrawFn, alternatives: tuple[Probe, ...], parameters: Mapping[str, inspect.Parameter]) -> Example:
    """Strategy for calls of the forward.

    What is drawn first is shrunk first: a failure is reported for the earliest case, the smallest dims and the fewest
    optional inputs that show it.

    Args:
        draw: Given by hypothesis.
        alternatives: The base of the probe and its cases.
        parameters: The parameters of the forward, without `self`.

    Returns:
        A strategy of examples.
    """

    def one_of(name: str, values: Iterable[Any]) -> Any:
        # Hypothesis varies an example by copying one drawn value over another of the same strategy. In a batch of fifty
        # that leaves few different calls, so every strategy here is a strategy of its own, told apart by the name.
        return draw(st.sampled_from([(name, value) for value in values]))[1]

    case = one_of("case", range(len(alternatives)))
    probe = alternatives[case]
    dtype = one_of("dtype", [dtype for dtype in DTYPES if probe.dtype in (None, _dtype(dtype))])
    dims = {name: one_of(f"dim {name}", range(low, high + 1)) for name, (low, high) in probe.dims.items()}
    optional = [name for name, given in probe.inputs.items() if given.optional]
    present = frozenset(name for name in optional if one_of(f"input {name}", (False, True)))
    return_dict = one_of("return_dict", (None, True, False)) if "return_dict" in parameters else None
    # A third of the calls by keyword, a third by position (where a mistake in the order shows), a third mixed.
    count = len(parameters)
    positional = one_of("positional", [0] * count + [count] * count + list(range(1, count)))
    return Example(case, dtype, dims, present, return_dict, positional, seed=draw(st.integers(0, _MAX_SEED)))


def describe(example: Example, alternatives: tuple[Probe, ...], arguments: Arguments, names: list[str]) -> str:
    """Renders an example for people, one fact a line.

    Args:
        example: What was drawn.
        alternatives: The base of the probe and its cases.
        arguments: The arguments made from it.
        names: Names of the forward's parameters, without `self`.
    """
    probe, base = alternatives[example.case], alternatives[0]
    changed = {key: value for key, value in probe.config.items() if key not in base.config or base.config[key] != value}
    case = "the base" if example.case == 0 else f"{example.case}" + (f" ({_pairs(changed)})" if changed else "")
    lines = [f"case: {case}", f"dtype: {_dtype(example.dtype)}", f"dims: {_pairs(example.dims) or 'none'}"]
    lines += [f"{name} (by position): {_show(value)}" for name, value in zip(names, arguments.args, strict=False)]
    lines += [f"{name}: {_show(value)}" for name, value in arguments.kwargs.items()]
    left_out = [name for name, given in probe.inputs.items() if given.optional and name not in example.present]
    if left_out:
        lines.append(f"left out: {', '.join(left_out)}")
    lines.append(f"seed: {example.seed}")
    return "\n".join(lines)


def _pairs(items: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}={value}" for name, value in items.items())


def _dtype(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")


def _show(value: Any) -> str:
    if isinstance(value, torch.Tensor):
        return f"{_dtype(value.dtype)}{list(value.shape)}"
    if isinstance(value, list):
        return f"[{', '.join(map(_show, value))}]"
    if isinstance(value, tuple):
        return f"({', '.join(map(_show, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_show(item)}" for key, item in value.items()) + "}"
    attributes = attributes_of(value)
    if attributes is not None:
        return f"{type(value).__name__}({', '.join(f'{key}={_show(item)}' for key, item in attributes.items())})"
    return repr(value)
