"""What a forecast of residuals was off by: vectors, one for each stream, of which lengths and angles are read later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch

Vectors = Mapping[str, torch.Tensor]
"""By stream key. They share keys and shapes within one layout of a branch."""


@dataclass(frozen=True, eq=False)
class Missed:
    """What a forecast of a computed step's residuals would have been off by.

    Attributes:
        off: The truth less the forecast, by stream key, in the shape and dtype of the stream.
        values: The streams behind the blocks, of which it is a part.
    """

    off: Vectors
    values: Vectors


def product(one: Vectors, other: Vectors) -> torch.Tensor:
    """Returns the inner product over all streams of both, in float32, on the device of the first; not read yet.

    Ranks that have a share of each stream may add theirs up.
    """
    device = next(iter(one.values())).device
    found = torch.zeros((), device=device)
    for key in one.keys() & other.keys():
        flat, beside = one[key].reshape(-1), other[key].reshape(-1)
        found = found + (flat.to(torch.float32) * beside.to(torch.float32)).sum().to(device)
    return found


def moved(start: Vectors, way: float, direction: Vectors) -> dict[str, torch.Tensor]:
    """Returns vectors moved along others.

    A stream that has another shape, dtype or device by now starts anew.
    """
    found = {}
    for key, along in direction.items():
        before = start.get(key)
        fits = before is not None and (before.shape, before.dtype, before.device) == (
            along.shape,
            along.dtype,
            along.device,
        )
        found[key] = before.add(along, alpha=way) if before is not None and fits else along * way
    return found
