"""The classes of the installed diffusers that a spec could be for, and those that have none for a reason."""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path

import diffusers.models.transformers
import yaml
from diffusers import ModelMixin

EXCEPTIONS = Path(__file__).parent / "exceptions.yaml"


def transformer_classes() -> set[str]:
    """The models that are defined in `diffusers.models.transformers`."""
    package = diffusers.models.transformers
    names: set[str] = set()
    for info in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
        module = importlib.import_module(info.name)
        for name, value in vars(module).items():
            if isinstance(value, type) and issubclass(value, ModelMixin) and value.__module__ == module.__name__:
                names.add(name)
    return names


def exceptions() -> dict[str, str]:
    """The classes without a spec, with the reason."""
    found: dict[str, str] = yaml.safe_load(EXCEPTIONS.read_text(encoding="utf-8"))
    return found
