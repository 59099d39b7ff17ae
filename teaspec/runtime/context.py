"""Where text that `teaspec compile` 0.1 wrote imports the context from; new text has `teaspec.runtime.generated`."""

from __future__ import annotations

from teaspec.runtime.contract.context import CacheContext, Finished

__all__ = ["CacheContext", "Finished"]
