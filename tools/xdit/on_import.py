"""Sets up what xDiT's wrappers need of a GPU and of several processes, when `xfuser` is first imported."""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import sys
from collections.abc import Sequence
from types import ModuleType

_PACKAGE = "xfuser"


def watch() -> None:
    """Looks for imports of xDiT from now on."""
    sys.meta_path.insert(0, _Finder())


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != _PACKAGE:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Package()
        return spec


class _Package(importlib.abc.Loader):
    """The package without its `__init__`, which imports its command line and its pipelines."""

    def exec_module(self, module: ModuleType) -> None:
        from tools.xdit.world import start

        start()
