"""What a formula is given, and where it is kept."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch


@dataclass(frozen=True)
class Seen:
    """One call of the model itself.

    Attributes:
        module: The model.
        call: The arguments of its forward.
        block: Its first block.
        inputs: What that one was called with, by the names of its parameters.
    """

    module: Any
    call: dict[str, Any]
    block: Any
    inputs: dict[str, Any]


Formula = Callable[[Seen], torch.Tensor]
FORMULAS: dict[tuple[str, str | None], Formula] = {}
"""Spec and variant (None: the base set) to the formula."""


def published(spec: str, variant: str | None = None) -> Callable[[Formula], Formula]:
    """Keeps a formula; of variants with one signal, one is enough."""

    def register(formula: Formula) -> Formula:
        FORMULAS[spec, variant] = formula
        return formula

    return register
