"""Numbers that are on a device until they are read."""

from __future__ import annotations

from typing import Any

import torch


def read(*numbers: Any) -> list[Any]:
    """Returns the values of tensors without dimensions, read in one go: an accelerator is waited for once.

    What is no tensor is returned as it is.
    """
    given = [number for number in numbers if isinstance(number, torch.Tensor)]
    if not given:
        return list(numbers)
    if len(given) == 1:
        value = given[0].to(torch.float32).item()
        return [value if isinstance(number, torch.Tensor) else number for number in numbers]
    found = iter(torch.stack([number.to(given[0].device, torch.float32) for number in given]).tolist())
    return [next(found) if isinstance(number, torch.Tensor) else number for number in numbers]
