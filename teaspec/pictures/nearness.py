"""How near pictures are to others: numbers that everybody knows."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import conv2d

_WINDOW, _SIGMA = 11, 1.5
_K1, _K2 = 0.01, 0.03
"""The window and the constants of Wang et al., 2004."""


def psnr(images: Tensor, expected: Tensor) -> float:
    """Returns the peak signal-to-noise ratio of images with values in [0, 1], in dB: the mean over the images.

    Args:
        images: Of shape (count, ...).
        expected: What they are compared with, of the same shape.
    """
    errors = (images - expected).square().flatten(1).mean(dim=1)
    return float((-10 * errors.log10()).mean())


def ssim(images: Tensor, expected: Tensor) -> float:
    """Returns the structural similarity of images with values in [0, 1]: the mean over windows, channels and images.

    The window is Wang's, a Gaussian of 11 by 11 pixels that lies within the image; images that are smaller have a
    smaller one.

    Args:
        images: Of shape (count, channels, height, width).
        expected: What they are compared with, of the same shape.
    """
    side = min(_WINDOW, *images.shape[-2:])
    window = _window(side - (side + 1) % 2).to(images)
    one, two = (values.flatten(0, 1)[:, None] for values in (images, expected))

    def blurred(values: Tensor) -> Tensor:
        return conv2d(conv2d(values, window[None, None, :, None]), window[None, None, None, :])

    mean, other = blurred(one), blurred(two)
    variance, varying = blurred(one * one) - mean**2, blurred(two * two) - other**2
    together = blurred(one * two) - mean * other
    luminance = (2 * mean * other + _K1**2) / (mean**2 + other**2 + _K1**2)
    structure = (2 * together + _K2**2) / (variance + varying + _K2**2)
    return float((luminance * structure).mean())


def _window(side: int) -> Tensor:
    weights = torch.exp(-((torch.arange(side, dtype=torch.float64) - side // 2) ** 2) / (2 * _SIGMA**2))
    return weights / weights.sum()
