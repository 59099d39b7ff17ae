"""A second transformer that reads the weights of the first."""

from __future__ import annotations

import copy
from typing import TypeVar

from torch import nn

Module = TypeVar("Module", bound=nn.Module)


def twin(module: Module) -> Module:
    """Copies the modules but not the weights: both read the same memory.

    Args:
        module: What is copied; unhooked.

    Returns:
        The copy, of the same class.
    """
    shared = {id(tensor): tensor for tensor in (*module.parameters(), *module.buffers())}
    return copy.deepcopy(module, shared)
