"""The trained models that are shipped, by name."""

from __future__ import annotations

from teaspec.demo.digits.model import DigitsModel
from teaspec.demo.trained import TrainedModel
from teaspec.demo.videos.model import VideoModel

MODELS: dict[str, type[TrainedModel]] = {kind.name: kind for kind in (DigitsModel, VideoModel)}
