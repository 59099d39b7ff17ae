"""Sets the stand-ins up when `vllm_omni` is first imported, in every interpreter of the scratch environment.

So `teaspec check --allow vllm_omni` needs to know nothing of it, and the second interpreter of a proof has it, too.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import sys
from collections.abc import Sequence
from types import ModuleType

_PACKAGE = "vllm_omni"
_VISION = "torchvision"
_MODELS = f"{_PACKAGE}.diffusion.models."


def watch() -> None:
    """Looks for imports of vLLM-Omni from now on."""
    sys.meta_path.insert(0, _Finder())


class _Finder(importlib.abc.MetaPathFinder):
    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if name != _PACKAGE and name != _VISION and not name.startswith(_MODELS):
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        if spec is None or spec.loader is None:
            return None
        if name == _VISION:
            from tools.vllm_omni.stand_ins import ignore_fakes_of

            ignore_fakes_of(f"{_VISION}::")
        else:
            spec.loader = _Package() if name == _PACKAGE else _Model(spec.loader)
        return spec


class _Package(importlib.abc.Loader):
    """The package without its `__init__`, which patches all of vllm."""

    def exec_module(self, module: ModuleType) -> None:
        from tools.vllm_omni.stand_ins import set_up

        set_up()


class _Model(importlib.abc.Loader):
    """A module of models, whose constructors then are given what vLLM-Omni's loader gives them."""

    def __init__(self, loader: importlib.abc.Loader) -> None:
        self._loader = loader

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        from tools.vllm_omni.constructors import give_config

        self._loader.exec_module(module)
        for value in list(vars(module).values()):
            if isinstance(value, type) and value.__module__ == module.__name__:
                give_config(value)

    def __getattr__(self, name: str) -> object:
        return getattr(self._loader, name)
