"""Extractors that were compiled before."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable

from teaspec.compiler.forms.extractor import CompiledExtractor


class ExtractorCache:
    """Keeps one extractor for each key. Threads that ask for the same one at once compile it once."""

    def __init__(self) -> None:
        """An empty cache."""
        self._made: dict[Hashable, CompiledExtractor] = {}
        self._lock = threading.RLock()

    def get_or_make(self, key: Hashable, make: Callable[[], CompiledExtractor]) -> CompiledExtractor:
        """The extractor of a key; made, and kept, where there is none. A failure is not kept."""
        found = self._made.get(key)
        if found is not None:
            return found
        with self._lock:
            if key not in self._made:
                self._made[key] = make()
            return self._made[key]
