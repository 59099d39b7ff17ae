"""The one model name that the public interface itself fixes.

`TeaCacheConfig.transformer_type` is documented to read `QwenImageTransformer2DModel` when nobody gave it. The name
lives here because no file under `teaspec/runtime` may name a model class.
"""

from __future__ import annotations

DOCUMENTED_TRANSFORMER_TYPE = "QwenImageTransformer2DModel"
