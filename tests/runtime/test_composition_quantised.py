"""Linear layers that are quantised note things on themselves at each call; the one in the first norm runs once more."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from typing import Any

import pytest
import torch
from torch import nn

from tests.runtime.denoising import COMPUTE_ALL, Denoiser, equal, flux

needs_bitsandbytes = pytest.mark.skipif(
    find_spec("bitsandbytes") is None, reason="bitsandbytes is not installed; it makes diffusers write to stderr"
)


class Noting(nn.Linear):
    """Stores an attribute at each call, as quantised layers do."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.compute_dtype = x.dtype
        return nn.functional.linear(x, self.weight, self.bias)


def noting(linear: nn.Linear) -> nn.Linear:
    made = Noting(linear.in_features, linear.out_features, linear.bias is not None)
    made.load_state_dict(linear.state_dict())
    return made


def in_four_bits(linear: nn.Linear) -> nn.Linear:
    from bitsandbytes.nn import Linear4bit, Params4bit

    has_bias = linear.bias is not None
    made = Linear4bit(linear.in_features, linear.out_features, has_bias, torch.float32, quant_type="nf4")
    made.weight = Params4bit(linear.weight.data, requires_grad=False, quant_type="nf4")
    made.bias = linear.bias
    return made


def in_eight_bits(linear: nn.Linear) -> nn.Linear:
    from bitsandbytes.nn import Int8Params, Linear8bitLt

    made = Linear8bitLt(linear.in_features, linear.out_features, linear.bias is not None, has_fp16_weights=False)
    made.weight = Int8Params(linear.weight.data, requires_grad=False, has_fp16_weights=False)
    made.bias = linear.bias
    return made


def quantise(module: nn.Module, kind: Callable[[nn.Linear], nn.Linear]) -> None:
    for name, child in list(module.named_children()):
        if isinstance(child, nn.Linear):
            setattr(module, name, kind(child))
        else:
            quantise(child, kind)


@pytest.mark.parametrize(
    "kind",
    [
        noting,
        pytest.param(in_four_bits, marks=needs_bitsandbytes),
        pytest.param(in_eight_bits, marks=needs_bitsandbytes),
    ],
)
def test_a_quantised_flux_is_cut_and_exact(kind: Any) -> None:
    """Mutation: `settles` (analysis/effects/settling.py) says False; then it is refused, `norm-slice-has-effects`."""
    torch.manual_seed(0)
    model = flux()
    quantise(model.transformer_blocks, kind)
    quantise(model.single_transformer_blocks, kind)
    model.to("cpu")  # which is when bitsandbytes quantises
    expected = Denoiser.of("flux", model).generate(seed=0)
    cached = Denoiser.on("flux", model, rel_l1_thresh=COMPUTE_ALL)
    assert equal(cached.generate(seed=0), expected)
