"""What another package's models need around them, set up when that package is first imported.

A scratch environment watches for it in every interpreter, so that `teaspec check --allow PACKAGE` needs to know nothing
of it, and the second interpreter of a proof has it, too.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import ModuleType


@dataclass(frozen=True)
class Watch(importlib.abc.MetaPathFinder):
    """What happens when modules are imported.

    Attributes:
        package: The package. It is loaded without its own `__init__`.
        set_up: What runs in place of that.
        before: Other packages, each with what runs before it is loaded.
        models: What the names of its modules of models begin with.
        loaded: What is done with each of these behind its import.
    """

    package: str
    set_up: Callable[[], None]
    before: Mapping[str, Callable[[], None]] = field(default_factory=dict)
    models: str | None = None
    loaded: Callable[[ModuleType], None] | None = None

    def start(self) -> None:
        """Looks for imports from now on."""
        sys.meta_path.insert(0, self)

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        """Finds what Python's own finder does, and has it loaded otherwise."""
        is_model = self.models is not None and name.startswith(self.models)
        if name != self.package and name not in self.before and not is_model:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return None
        if name in self.before:
            self.before[name]()
        elif name == self.package:
            spec.loader = _Instead(self.set_up)
        elif self.loaded is not None:
            spec.loader = _Behind(spec.loader, self.loaded)
        return spec


class _Instead(importlib.abc.Loader):
    """Runs something in place of a package's `__init__`."""

    def __init__(self, run: Callable[[], None]) -> None:
        self._run = run

    def exec_module(self, module: ModuleType) -> None:
        self._run()


class _Behind(importlib.abc.Loader):
    """Does something with a module that was loaded as ever."""

    def __init__(self, loader: importlib.abc.Loader, loaded: Callable[[ModuleType], None]) -> None:
        self._loader, self._loaded = loader, loaded

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        self._loader.exec_module(module)
        self._loaded(module)

    def __getattr__(self, name: str) -> object:
        return getattr(self._loader, name)
