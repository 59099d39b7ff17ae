"""A tiny configuration: the constructor's numbers, made small together."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from torch import nn

from teaspec.draft.construct import build_on_meta, constructor_parameters

_SIZES = ((16, 2, 32), (16, 2, 32), (24, 2, 32), (12, 2, 32), (32, 2, 64), (64, 2, 64), (16, 4, 64), (48, 2, 96))
"""The width of a head, how many there are, and the width of everything else."""
_LAYERS = re.compile(r"(layers|blocks|depth)$")
_HEADS = re.compile(r"(^|_)heads$")
_HEAD_DIM = re.compile(r"head_(dim|size)$")
_AXES = re.compile(r"ax[ei]s_dim|rope_axes")
_WIDTH = re.compile(r"dim|channels|features|width|hidden|inter|ffn|size$|d_model|d_ff")
_NO_WIDTH = re.compile(
    r"max|sample|patch|base|theta|len|scale|resolution|factor|vocab|groups|multiple|^(in|out|latent)_"
)
_SMALL = 8


def shrunk_configs(
    model_class: type[nn.Module], config: Mapping[str, Any], layers: int = 2
) -> Iterator[dict[str, Any]]:
    """Configurations of a small instance that can be built, the smallest first.

    Numbers that are equal, or a product of others, by default (`cross_attention_dim` and heads times their width) stay
    so. Those of the input and the output are left alone: they make a model no larger.

    Args:
        model_class: Tells what can be built.
        config: Arguments without which it cannot be built.
        layers: How many layers it has at most, where the constructor counts them.
    """
    defaults = {name: p.default for name, p in constructor_parameters(model_class).items()} | dict(config)
    seen: list[dict[str, Any]] = []
    for number, (head_dim, heads, width) in enumerate(_SIZES):
        small = _shrunk(defaults, (head_dim, heads, width), layers)
        if number % 2 and isinstance(small.get("sample_size"), int):
            small["sample_size"] = 8  # more than a number: some models have other inputs where it is large
        tiny = {name: value for name, value in small.items() if name in config or not _same(value, defaults[name])}
        if tiny in seen:
            continue
        seen.append(tiny)
        try:
            build_on_meta(model_class, tiny)
        except Exception:  # whatever a constructor says against its numbers
            continue
        yield tiny


def _same(value: Any, default: Any) -> bool:
    return bool(value == (list(default) if isinstance(default, tuple) else default))


def _shrunk(defaults: Mapping[str, Any], sizes: tuple[int, int, int], layers: int) -> dict[str, Any]:
    head_dim, heads, width = sizes
    numbers = {n: v for n, v in defaults.items() if isinstance(v, int) and not isinstance(v, bool)}
    old_heads = next((v for n, v in numbers.items() if _HEADS.search(n) and "kv" not in n), None)
    old_dim = next((v for n, v in numbers.items() if _HEAD_DIM.search(n)), None)
    if old_dim is None and old_heads:
        named = sorted(
            numbers, key=lambda n: not re.search(r"^(hidden_size|dim|d_model|inner_dim|model_dim|width)$", n)
        )
        hidden = next((numbers[n] for n in named if _WIDTH.search(n) and numbers[n] > old_heads), 0)
        old_dim = hidden // old_heads or None
    if old_dim is None:  # the axes of rotary embeddings make up a head
        old_dim = next((sum(v) for n, v in defaults.items() if _AXES.search(n) and _whole(v)), None)
    inner = (old_heads or 0) * (old_dim or 0)
    small: dict[str, Any] = dict(defaults)
    for name, value in numbers.items():
        if _LAYERS.search(name):
            small[name] = min(value, layers)
        elif _HEADS.search(name):
            small[name] = heads if value == old_heads or not old_heads else max(1, heads * value // old_heads)
        elif _NO_WIDTH.search(name) or value <= _SMALL:
            continue
        elif _HEAD_DIM.search(name) or (old_dim and value == old_dim and _WIDTH.search(name)):
            small[name] = head_dim
        elif inner and value % inner == 0 and _WIDTH.search(name):
            small[name] = heads * head_dim * (value // inner)
        elif _WIDTH.search(name):
            small[name] = width
    for name, value in defaults.items():
        if _whole(value):
            indices = re.search(r"layer|block", name) is not None
            small[name] = [n for n in value if n < layers] or [0] if indices else _axes(list(value), old_dim, head_dim)
    return small


def _whole(value: Any) -> bool:
    """Whether a value is a list of whole numbers."""
    return isinstance(value, (list, tuple)) and len(value) > 0 and all(isinstance(part, int) for part in value)


def _axes(value: list[int], old_dim: int | None, head_dim: int) -> list[int]:
    """A list of widths that add up to a head's, or to its half, in even numbers."""
    for part in (1, 2):
        if old_dim and sum(value) * part == old_dim and len(value) > 1:
            total, rest = head_dim // part, head_dim // part
            made = [max(2, total * width // sum(value) // 2 * 2) for width in value[:-1]]
            rest -= sum(made)
            return [*made, rest] if rest > 0 else [2] * len(value)
    return value
