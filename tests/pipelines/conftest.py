from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="package")
def imported_for_good() -> Iterator[None]:
    """Spares the collector what stays anyway: going through it again and again takes longer than the generations."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()
