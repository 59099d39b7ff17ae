"""All that generated extractors import.

What `teaspec compile` wrote lies in other people's repositories: this address stays.
"""

from __future__ import annotations

from teaspec.runtime.contract.assembly import (
    UNBOUND,
    Extractor,
    HandedOn,
    Part,
    PassedByError,
    current_phase,
    default_of,
    entry_of,
    first_given,
)
from teaspec.runtime.contract.context import CacheContext, Finished
from teaspec.runtime.host.weights import with_weights

__all__ = [
    "UNBOUND",
    "CacheContext",
    "Extractor",
    "Finished",
    "HandedOn",
    "Part",
    "PassedByError",
    "current_phase",
    "default_of",
    "entry_of",
    "first_given",
    "with_weights",
]
