"""The probe's weights: reproducible, and none of them trivial."""

from __future__ import annotations

import pytest
import torch
from diffusers import FluxTransformer2DModel

from teaspec.proof.build import ProbeError, build_module
from tests.proof.small import SmallTransformer

FLUX = {
    "in_channels": 4,
    "num_layers": 1,
    "num_single_layers": 1,
    "attention_head_dim": 16,
    "num_attention_heads": 1,
    "joint_attention_dim": 8,
    "pooled_projection_dim": 8,
    "axes_dims_rope": [4, 4, 8],
}


@pytest.mark.parametrize(("model", "config"), [(SmallTransformer, {}), (FluxTransformer2DModel, FLUX)])
def test_no_parameter_is_the_same_everywhere(model, config):
    fresh = model(**config)
    assert any(parameter.unique().numel() == 1 for parameter in fresh.parameters()), "the test needs such a model"
    for name, parameter in build_module(model, config, torch.float32, 0).named_parameters():
        assert parameter.unique().numel() > 1, name


def test_a_constant_is_kept_as_the_middle_of_its_noise():
    module = build_module(SmallTransformer, {"width": 4096, "layers": 1}, torch.float32, 0)
    assert module.blocks[0].gate.mean().item() == pytest.approx(0.0, abs=0.02)
    assert module.norm_out.weight.mean().item() == pytest.approx(1.0, abs=0.02)


class Unfinished(torch.nn.Module):
    """Leaves its weights for a checkpoint to fill."""

    def __init__(self):
        super().__init__()
        self.experts = torch.nn.Parameter(torch.empty(3, 64, 64))


def test_what_a_constructor_leaves_uninitialised_is_noise():
    torch.full((3, 64, 64), 7.0)  # what the next allocation may find in memory
    first, second = (build_module(Unfinished, {}, torch.float32, seed).experts for seed in (0, 0))
    assert torch.equal(first, second)
    assert first.std().item() == pytest.approx(0.2, abs=0.02)
    assert not torch.are_deterministic_algorithms_enabled()


def test_the_seed_decides_and_the_global_random_state_does_not():
    torch.manual_seed(1)
    first = build_module(SmallTransformer, {}, torch.float32, 5).state_dict()
    torch.manual_seed(2)
    before = torch.random.get_rng_state()
    second = build_module(SmallTransformer, {}, torch.float32, 5).state_dict()
    assert torch.equal(before, torch.random.get_rng_state())
    other = build_module(SmallTransformer, {}, torch.float32, 6).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not any(torch.equal(first[name], other[name]) for name in first)


def test_evaluation_mode_and_the_parts_that_stay_in_float32():
    module = build_module(SmallTransformer, {}, torch.bfloat16, 0)
    assert not module.training
    assert not any(parameter.requires_grad for parameter in module.parameters())
    dtypes = {name: parameter.dtype for name, parameter in module.named_parameters()}
    assert dtypes["embed.weight"] == dtypes["embed.bias"] == torch.float32
    assert {dtype for name, dtype in dtypes.items() if not name.startswith("embed")} == {torch.bfloat16}


def test_a_config_that_the_model_refuses():
    with pytest.raises(
        ProbeError, match=r"SmallTransformer cannot be built from the probe's config: it takes no `height`"
    ):
        build_module(SmallTransformer, {"height": 2}, torch.float32, 0)
