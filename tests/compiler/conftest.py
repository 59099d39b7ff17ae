"""Options and settings of the compiler's tests."""

from __future__ import annotations

import pytest
import torch

torch.set_num_threads(1)  # toys are too small for more


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--bless", action="store_true", help="rewrite the messages that the bad specs expect")
