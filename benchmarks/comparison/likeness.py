"""How like two images are, beside PSNR: the structural similarity of Wang et al., 2004."""

from __future__ import annotations

from torch import Tensor
from torch.nn.functional import avg_pool2d

WINDOW = 7
"""Pixels along a side of the window that means, variances and the covariance are taken over, all weighted alike."""

_LUMINANCE, _CONTRAST = 0.01**2, 0.03**2
"""What keeps the quotients from nought, as published, for values between 0 and 1."""


def ssim(made: Tensor, expected: Tensor) -> float:
    """The mean over all windows of all images, or frames of videos; 1 where they are equal.

    Args:
        made: Values in [0, 1], of shape (..., rows, columns).
        expected: What it is compared with, of the same shape.
    """
    x, y = (one.reshape(-1, 1, *one.shape[-2:]).double() for one in (made, expected))
    mean_x, mean_y = _mean(x), _mean(y)
    # As skimage does: the unbiased estimates.
    pixels = WINDOW * WINDOW
    scale = pixels / (pixels - 1)
    variance_x, variance_y = scale * (_mean(x * x) - mean_x**2), scale * (_mean(y * y) - mean_y**2)
    covariance = scale * (_mean(x * y) - mean_x * mean_y)
    luminance = (2 * mean_x * mean_y + _LUMINANCE) / (mean_x**2 + mean_y**2 + _LUMINANCE)
    structure = (2 * covariance + _CONTRAST) / (variance_x + variance_y + _CONTRAST)
    return float((luminance * structure).mean())


def _mean(images: Tensor) -> Tensor:
    return avg_pool2d(images, WINDOW, stride=1)
