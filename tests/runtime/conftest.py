from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from teaspec.runtime.calibrations import registry


@pytest.fixture(autouse=True)
def empty_registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Each test registers what it needs; what is shipped stays out of sight."""
    monkeypatch.setattr(registry, "_entries", {})
    torch.manual_seed(0)
    yield
