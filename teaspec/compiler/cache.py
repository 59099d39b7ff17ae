"""Extractors that were compiled before."""

from __future__ import annotations

import threading
from collections.abc import Callable, Hashable

from teaspec.compiler.forms.extractor import CompiledExtractor

_MOST = 4
"""How many of one key are kept: functions are replaced and put back, and each state has an extractor."""


class ExtractorCache:
    """Keeps extractors by key. Threads that ask for the same one at once compile it once."""

    def __init__(self) -> None:
        """An empty cache."""
        self._made: dict[Hashable, tuple[CompiledExtractor, ...]] = {}
        self._lock = threading.RLock()

    def get_or_make(
        self,
        key: Hashable,
        make: Callable[[], CompiledExtractor],
        is_current: Callable[[CompiledExtractor], bool] = lambda made: True,
    ) -> CompiledExtractor:
        """The extractor of a key that is current; made, and kept, where there is none.

        Args:
            key: All that an extractor depends on besides function objects.
            make: Compiles. A failure is not kept.
            is_current: Whether the same would be made now.
        """
        found = self._find(key, is_current)
        if found is not None:
            return found
        with self._lock:
            found = self._find(key, is_current)
            if found is None:
                found = make()
                self._made[key] = (found, *self._made.get(key, ()))[:_MOST]
            return found

    def _find(self, key: Hashable, is_current: Callable[[CompiledExtractor], bool]) -> CompiledExtractor | None:
        return next((one for one in self._made.get(key, ()) if is_current(one)), None)
