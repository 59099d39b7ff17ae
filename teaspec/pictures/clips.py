"""What a pipeline returned, as clips: tensors of shape (frames, channels, height, width). An image has one frame."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

_CHANNELS = (1, 3, 4)
"""Grey, colours, colours and how opaque they are."""

_ROUNDING = 1e-2
"""So far beyond 0 and 1 a value may be, before it is none of a picture."""

_LATENTS = "If these are latents, have them decoded: output_type='np'"


def clips_of(output: Any) -> list[Tensor]:
    """Returns the images and videos of a pipeline's result, float32 from 0 to 1, in main memory.

    Args:
        output: What the pipeline returned: something with `frames` or `images`, a tuple that begins with them, or they
            themselves. Images of PIL, arrays with the channels last, tensors with the channels before height and
            width; one, many in a list, or many in one array.

    Raises:
        ValueError: If there are no pictures in it; the message says what there is.
    """
    found, is_video = _pictures_in(output)
    clips = [_checked(clip) for clip in _clips(found, is_video)]
    if not clips:
        raise ValueError("the pipeline returned no picture: an empty list")
    return clips


def _pictures_in(output: Any) -> tuple[Any, bool]:
    """What holds the pictures, and whether it is known to be a video."""
    for name in ("frames", "images"):
        found = getattr(output, name, None)
        if found is not None:
            return found, name == "frames"
    return (output[0] if isinstance(output, tuple) and output else output), False


def _clips(value: Any, is_video: bool) -> list[Tensor]:
    if isinstance(value, (list, tuple)):
        return _of_list(value, is_video)
    tensor = _tensor(value)
    if tensor.ndim == 3:
        return [tensor[None]]
    if tensor.ndim == 4:
        return [tensor] if is_video else list(tensor[:, None])
    return list(tensor)


def _of_list(values: Sequence[Any], is_video: bool) -> list[Tensor]:
    clips = [clip for one in values for clip in _clips(one, is_video=True)]
    is_one_clip = is_video and not any(isinstance(one, (list, tuple)) or np.ndim(one) > 3 for one in values)
    if not is_one_clip or not clips:
        return clips
    sizes = {tuple(clip.shape[1:]) for clip in clips}
    if len(sizes) > 1:
        raise ValueError(f"the frames of one video have different sizes: {', '.join(map(str, sorted(sizes)))}")
    return [torch.cat(clips)]


def _tensor(value: Any) -> Tensor:
    """An image, many, or many videos, with the channels before height and width."""
    if isinstance(value, Image.Image):
        value = np.array(value.convert("RGB"))
    if isinstance(value, np.ndarray):
        tensor, axes = torch.from_numpy(value), (-1, -3)
    elif isinstance(value, Tensor):
        tensor, axes = value.detach().cpu(), (-3, -1)
    else:
        raise ValueError(
            f"the pipeline must return images or videos (`images`, `frames`, tensors, arrays), found a "
            f"{type(value).__name__}"
        )
    axis = next((axis for axis in axes if 3 <= tensor.ndim <= 5 and tensor.shape[axis] in _CHANNELS), None)
    if axis is None:
        raise ValueError(
            f"the pipeline returned a {type(value).__name__} of shape {tuple(tensor.shape)}, which is no picture: "
            f"expected 1, 3 or 4 channels, last in an array, before height and width in a tensor. {_LATENTS}"
        )
    return tensor.movedim(axis, -3)


def _checked(clip: Tensor) -> Tensor:
    values = clip.float() if clip.is_floating_point() else clip.float() / 255
    low, high = float(values.min()), float(values.max())
    if not torch.isfinite(values).all():
        raise ValueError("the pipeline returned pictures with values that are not finite: it has overflowed")
    if low < -_ROUNDING or high > 1 + _ROUNDING:
        raise ValueError(
            f"the pipeline returned values from {low:.3g} to {high:.3g}; expected pictures, from 0 to 1. {_LATENTS}"
        )
    return values.clamp(0, 1)
