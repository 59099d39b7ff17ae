"""Registering the specs of users.

A spec that has a mistake is a warning and not registered: it must not keep the other models from running.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING

from teaspec.catalog.extractor import SpecExtractor
from teaspec.catalog.found import find_user_specs
from teaspec.runtime.calibrations.registry import add_extractor, known_types

if TYPE_CHECKING:
    from teaspec.compiler import Spec

logger = logging.getLogger(__name__)


def register_spec(path_or_text: str | Path, allow: Collection[str] = ()) -> Spec:
    """Registers an extractor for a spec, under its class name and its aliases.

    It serves every model of that class from now on. Where there was a spec for the class, this one takes its place,
    with a warning that names both.

    Args:
        path_or_text: A path, or the YAML itself (anything that holds a line break).
        allow: Packages, or modules in them, that the model may come from besides diffusers.

    Returns:
        The spec.

    Raises:
        SpecError: It has mistakes, or its model comes from a package that nobody allowed.
        OSError: The file cannot be read.
    """
    known_types()  # what comes by itself comes first, or it would take this one's place later
    spec = _load(path_or_text, allow)
    _add(spec)
    return spec


def register_user_specs() -> None:
    """Registers the specs of `TEASPEC_PATH` and of installed packages; the later one wins."""
    for one in find_user_specs():
        try:
            if not one.path.is_file():  # a pipe would be waited for
                raise OSError("it is no file")
            spec = _load(one.path, one.allow)
        except Exception as error:
            logger.warning("%s is not registered: %s", one.path, _reason(error))
        else:
            _add(spec)


def _load(path_or_text: str | Path, allow: Collection[str]) -> Spec:
    from teaspec.compiler import load_spec  # the compiler is slow to import
    from teaspec.compiler.passes.import_model import require_allowed

    spec = load_spec(path_or_text)
    require_allowed(spec, allow)
    return spec


def _add(spec: Spec) -> None:
    extractor = SpecExtractor(Path(spec.document.name), spec)
    for name in (spec.class_name, *spec.aliases):
        replaced = add_extractor(name, extractor)
        if isinstance(replaced, SpecExtractor) and replaced.path != extractor.path:
            logger.warning("two specs for %s: %s takes the place of %s", name, extractor.path, replaced.path)


def _reason(error: Exception) -> str:
    from teaspec.compiler import SpecError

    if not isinstance(error, SpecError):
        return f"{type(error).__name__}: {error}"
    first, *others = error.diagnostics
    span = first.labels[0].span
    more = f", and {len(others)} more" if others else ""
    return f"line {span.line}, column {span.column}: {first.message} [{first.code}]{more}"
