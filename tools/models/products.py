"""Products that are not worked out."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only
from torch.utils.flop_counter import flop_registry

_PRODUCTS = {*flop_registry, torch.ops.aten._scaled_dot_product_flash_attention_for_cpu}


class ZeroProducts(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Whatever multiplies gives zeros of the right shape, without multiplying.

    That is what a model whose weights are zeros gives anyway, after minutes of work. Everything else happens on real
    values, so that a forward may look at them: at indices, lengths, positions.

    Modes around it see the product on the meta device, and count its operations by its shapes.
    """

    supports_higher_order_operators = True

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if getattr(func, "overloadpacket", func) not in _PRODUCTS:
            return func(*args, **kwargs)
        shapes = tree_map_only(torch.Tensor, lambda tensor: tensor.to("meta"), (args, kwargs))
        given = next(tensor for tensor in args if isinstance(tensor, torch.Tensor))
        result = func(*shapes[0], **shapes[1])
        return tree_map_only(torch.Tensor, lambda tensor: torch.zeros_like(tensor, device=given.device), result)
