"""import_model: spec -> the class that it is for. The one step in which a spec makes Python import something.

A spec is data, perhaps a stranger's, and importing a module runs it. So a spec only gets classes of packages that
its reader allows, which is diffusers alone unless somebody says otherwise.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Collection
from types import ModuleType

import torch

from teaspec.compiler.forms.paths import first_of, is_within, owner_of
from teaspec.compiler.forms.spec import Spec
from teaspec.compiler.report import Diagnostic, SpecError, did_you_mean
from teaspec.compiler.rules.objects import check_objects
from teaspec.versions.history import history_of
from teaspec.versions.supported import installed, require_supported

DEFAULT_PACKAGES = ("diffusers",)
"""Where a model may come from when nobody allows more."""


def import_model(spec: Spec, allow: Collection[str] = ()) -> type[torch.nn.Module]:
    """Imports the class that a spec is for.

    Args:
        spec: A checked spec. `model` is `package.Class`, `package.module.Class` or `package.module:Class`.
        allow: Packages, or modules in them, that the class may come from besides diffusers.

    Raises:
        SpecError: `package-not-allowed`: the class comes from elsewhere; `unknown-model`: nothing of that name can be
            imported, or it is not a `torch.nn.Module` class; or `foreign-object`: the probe makes an object of a
            class that is not the model's own.
        UnsupportedVersionError: diffusers is of a version that teaspec does not work with.
    """
    require_supported()
    module_name, class_name = owner_of(spec.import_path), spec.class_name
    require_allowed(spec, allow)
    try:
        found = getattr(importlib.import_module(module_name), class_name)
    except Exception as error:  # a module of an allowed package that fails may fail in any way
        help_lines = did_you_mean(class_name, _public_names(sys.modules.get(module_name)))
        history = history_of(spec.model)
        if history.is_absent_from(installed()):
            help_lines = (f"diffusers {installed()} is installed; the class is there {history.lifetime}",)
        raise _error(spec, "unknown-model", f"cannot import `{spec.model}`: {error}", help_lines) from error
    if not (isinstance(found, type) and issubclass(found, torch.nn.Module)):
        raise _error(spec, "unknown-model", f"`{spec.model}` is not a `torch.nn.Module` class")
    _require_allowed(spec, found.__module__, allow)
    foreign = [finding.diagnose(spec.document) for finding in check_objects(spec, found)]
    if foreign:
        raise SpecError(foreign)
    return found


def require_allowed(spec: Spec, allow: Collection[str] = ()) -> None:
    """Checks that the class of a spec may be imported; nothing is imported for that.

    Args:
        spec: A checked spec.
        allow: Packages, or modules in them, that the class may come from besides diffusers.

    Raises:
        SpecError: `package-not-allowed`.
        TypeError: A single text was given in place of a list.
    """
    if isinstance(allow, str):
        raise TypeError(f"`allow` is a list of packages: write [{allow!r}]")
    _require_allowed(spec, owner_of(spec.import_path), allow)


def _require_allowed(spec: Spec, module_name: str, allow: Collection[str]) -> None:
    if any(is_within(module_name, package) for package in (*DEFAULT_PACKAGES, *allow)):
        return
    package = first_of(module_name)
    message = f"the model comes from `{module_name}`, and importing that would run code of a package nobody allowed"
    trust = f'allow it if you trust it: `--allow {package}`, or `allow=["{package}"]` from Python'
    raise _error(spec, "package-not-allowed", message, (*did_you_mean(package, DEFAULT_PACKAGES), trust))


def _public_names(module: ModuleType | None) -> list[str]:
    return [name for name in dir(module) if not name.startswith("_")] if module else []


def _error(spec: Spec, code: str, message: str, help_lines: tuple[str, ...] = ()) -> SpecError:
    return SpecError([Diagnostic(code, message, (spec.document.label("named here", "model"),), help_lines)])
