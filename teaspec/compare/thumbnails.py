"""Pictures as they are shown: a video as a strip of its frames."""

from __future__ import annotations

from base64 import b64encode
from io import BytesIO

from PIL import Image
from torch import Tensor

from teaspec.pictures.strips import side_by_side

_GAP = 2
_SMALL = 256
"""Up to so many pixels wide and high, pictures are written without loss."""


def strip_of(clip: Tensor) -> Tensor:
    """Returns a clip as one picture of shape (height, width, channels), three channels, its frames side by side.

    Args:
        clip: Of shape (frames, channels, height, width).
    """
    colours = clip[:, :3] if clip.shape[1] >= 3 else clip.expand(-1, 3, -1, -1)
    wide = side_by_side(colours, _GAP, paper=1.0)
    return wide[..., : wide.shape[-1] - _GAP].permute(1, 2, 0)


def data_uri(clip: Tensor) -> str:
    """Returns a clip as the address of a picture that is written into the address itself."""
    image = Image.fromarray((strip_of(clip) * 255).round().byte().contiguous().numpy())
    is_small = max(clip.shape[-2:]) <= _SMALL
    text = BytesIO()
    if is_small:
        image.save(text, "PNG", optimize=True)
    else:
        image.save(text, "JPEG", quality=92)
    return f"data:image/{'png' if is_small else 'jpeg'};base64,{b64encode(text.getvalue()).decode('ascii')}"
