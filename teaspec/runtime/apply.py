"""Where programs written for 0.1 import these from; `teaspec` itself has them now."""

from __future__ import annotations

from teaspec.runtime.pipeline.apply import apply_teacache_hook, find_teacache_hook, remove_teacache_hook

__all__ = ["apply_teacache_hook", "find_teacache_hook", "remove_teacache_hook"]
