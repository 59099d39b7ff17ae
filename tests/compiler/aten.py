"""What torch says of its own operations."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch.nn import functional as F  # noqa: N812


def aten() -> Iterator[tuple[str, Any]]:
    """Every operation of torch, with its base name."""
    for name in torch._C._dispatch_get_all_op_names():
        base = name.partition("::")[2].partition(".")[0]
        packet = getattr(torch.ops.aten, base, None) if name.startswith("aten::") else None
        for overload in packet.overloads() if packet is not None else ():
            yield base, getattr(packet, overload)


def is_public(name: str) -> bool:
    """Whether a model would call an operation of that name."""
    holders = (torch, torch.Tensor, F)
    return not name.startswith("_") and any(hasattr(holder, name) for holder in holders)
