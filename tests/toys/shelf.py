"""All toys, in the order of the points."""

from __future__ import annotations

import importlib
import pkgutil

import tests.toys
from tests.toys.toy import Refusal, Toy, Toys

_FILES = sorted(
    item.name for item in pkgutil.iter_modules(tests.toys.__path__) if item.name.startswith(("point_", "refused_"))
)
_SHELVES: list[Toys] = [importlib.import_module(f"tests.toys.{name}").TOYS for name in _FILES]

GOOD: list[Toy] = [toy for shelf in _SHELVES for toy in shelf.good_ones]
REFUSED: list[Refusal] = [toy for shelf in _SHELVES for toy in shelf.refused_ones]
