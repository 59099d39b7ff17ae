"""What the pipelines are built of: schedulers, small autoencoders, images, and modules from a seed."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLQwenImage,
    AutoencoderKLWan,
    CogVideoXDPMScheduler,
    DPMSolverMultistepScheduler,
    FlowMatchEulerDiscreteScheduler,
    FlowMatchHeunDiscreteScheduler,
    HeunDiscreteScheduler,
    UniPCMultistepScheduler,
)

Part = TypeVar("Part")
FLOW = {"prediction_type": "flow_prediction", "use_flow_sigmas": True}


def seeded(cls: Callable[..., Part], *arguments: Any, **config: Any) -> Part:
    """Builds a module with the same weights each time; those that begin at zero are drawn, too."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        module = cls(*arguments, **config)
        for weight in module.parameters():
            if not weight.any():
                torch.nn.init.normal_(weight, std=0.1)
    return module.eval()


EULER = FlowMatchEulerDiscreteScheduler.from_config
SHIFTED = partial(FlowMatchEulerDiscreteScheduler.from_config, shift=3.0)
HEUN = FlowMatchHeunDiscreteScheduler.from_config
UNIPC = partial(UniPCMultistepScheduler.from_config, **FLOW)
DPM = partial(DPMSolverMultistepScheduler.from_config, **FLOW)
NOISE_HEUN = HeunDiscreteScheduler.from_config
NOISE_UNIPC = UniPCMultistepScheduler.from_config
NOISE_DPM = CogVideoXDPMScheduler.from_config


def autoencoder(latent_channels: int = 4) -> AutoencoderKL:
    """Halves height and width."""
    return seeded(
        AutoencoderKL,
        block_out_channels=(4, 4),
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=latent_channels,
        norm_num_groups=2,
        shift_factor=0.0,
    )


def _causal(cls: Callable[..., Part]) -> Part:
    return seeded(
        cls,
        base_dim=3,
        z_dim=4,
        dim_mult=[1, 1, 1, 1],
        num_res_blocks=1,
        temperal_downsample=[False, True, True],
        latents_mean=[0.0] * 4,
        latents_std=[1.0] * 4,
    )


wan_autoencoder = partial(_causal, AutoencoderKLWan)
qwen_autoencoder = partial(_causal, AutoencoderKLQwenImage)


def image(height: int, width: int, channels: int = 3, seed: int = 9) -> torch.Tensor:
    """An image, the same for each prompt."""
    return torch.rand(1, channels, height, width, generator=torch.Generator().manual_seed(seed))


def half_mask(height: int, width: int) -> torch.Tensor:
    """The left half stays."""
    mask = torch.zeros(1, 1, height, width)
    mask[..., width // 2 :] = 1
    return mask
