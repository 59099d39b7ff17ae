"""Whether a video shows the digit and the motion that were asked for."""

from __future__ import annotations

from torch import Tensor, nn

from teaspec.demo.videos.motions import read_motions


def read_digits(classifier: nn.Module, videos: Tensor) -> Tensor:
    """The digit that a classifier of single frames reads in all frames together, of shape (batch,)."""
    frames: Tensor = classifier(videos.flatten(0, 1)).log_softmax(dim=-1)
    return frames.reshape(*videos.shape[:2], -1).sum(dim=1).argmax(dim=-1)


def recognised(classifier: nn.Module, videos: Tensor, digits: Tensor, motions: Tensor) -> Tensor:
    """Which videos show both, booleans of shape (batch,).

    Args:
        classifier: A classifier of frames, in evaluation mode.
        videos: Ink in [0, 1], of shape (batch, frames, 16, 16).
        digits: What was asked for.
        motions: Numbers of the motions that were asked for.
    """
    return (read_digits(classifier, videos) == digits) & (read_motions(videos) == motions)
