"""Where users keep specs: the folders of `TEASPEC_PATH`, and packages with the entry point `teaspec.specs`.

Looking for them reads no spec. What keeps one place from being looked at is a warning, and the others are looked at.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import logging
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

logger = logging.getLogger(__name__)

FOLDERS = "TEASPEC_PATH"
ALLOWED = "TEASPEC_ALLOW"
GROUP = "teaspec.specs"


@dataclass(frozen=True)
class UserSpec:
    """A file that is a spec by its name.

    Attributes:
        path: The file.
        allow: Packages that its model may come from besides diffusers.
    """

    path: Path
    allow: tuple[str, ...]


def find_user_specs() -> list[UserSpec]:
    """Finds the specs of users, in the order in which they are registered: of packages, then of folders."""
    found = {os.path.realpath(spec.path): spec for spec in (*_of_packages(), *_of_folders())}
    return list(found.values())


def allowed_packages() -> tuple[str, ...]:
    """The packages of the environment variable `TEASPEC_ALLOW`."""
    return tuple(os.environ.get(ALLOWED, "").split())


def _of_folders() -> Iterator[UserSpec]:
    for name in filter(None, os.environ.get(FOLDERS, "").split(os.pathsep)):
        yield from _in(Path(name).expanduser(), allowed_packages(), FOLDERS)


def _of_packages() -> Iterator[UserSpec]:
    points = importlib.metadata.entry_points(group=GROUP)
    for point in sorted(points, key=lambda point: (point.dist.name if point.dist else "", point.name)):
        origin = f"the entry point {point.name} = {point.value} of {point.dist.name if point.dist else 'a package'}"
        try:
            places = _places(point)
        except Exception as error:  # it may run code of the package, which may fail in any way
            logger.warning("%s gives no specs: %s: %s", origin, type(error).__name__, error)
            continue
        for place in places:
            yield from _in(place, (point.module.partition(".")[0], *allowed_packages()), origin)


def _places(point: importlib.metadata.EntryPoint) -> list[Path]:
    """The folders or files that an entry point stands for: its package's folder, or what its attribute holds."""
    if not point.attr:
        package = importlib.util.find_spec(point.module)
        if package is None or package.submodule_search_locations is None:
            raise ImportError(f"there is no package {point.module}")
        return [Path(place) for place in package.submodule_search_locations]
    held = point.load()
    return [Path(place) for place in ([held] if isinstance(held, str | os.PathLike) else held)]


def _in(place: Path, allow: tuple[str, ...], origin: str) -> Iterator[UserSpec]:
    if place.is_file():
        yield UserSpec(place, allow)
        return
    try:
        paths = sorted(path for path in place.iterdir() if path.suffix == ".yaml")
    except OSError as error:
        logger.warning("%s: %s cannot be looked at: %s", origin, place, error.strerror)
        return
    yield from (UserSpec(path, allow) for path in paths)
