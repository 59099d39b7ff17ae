"""Folders of packages that stand before those of this environment, and change nothing in it."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from collections.abc import Sequence
from pathlib import Path

_PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
_STAMP = ".complete"


def unpacked(wheels: Sequence[str], folder: Path) -> Path:
    """Downloads wheels and unpacks them side by side, without what they need and without compiled libraries.

    Args:
        wheels: Such as `vllm==0.30.0`.
        folder: Where; what is there already for these wheels is taken as it is.
    """
    target = folder / _named(wheels)
    if (target / _STAMP).exists():
        return target
    downloads = folder / "wheels"
    _run("download", "--no-deps", "--dest", str(downloads), *wheels)
    for wheel in wheels:
        name = wheel.partition("==")[0].replace("-", "_")
        with zipfile.ZipFile(max(downloads.glob(f"{name}-*.whl"))) as archive:
            archive.extractall(target, [one for one in archive.namelist() if not one.endswith(".so")])
    (target / _STAMP).touch()
    return target


def installed(requirements: Path, folder: Path) -> Path:
    """Installs the packages of a requirements file into a folder of their own, without what they need.

    Args:
        requirements: The file.
        folder: Where; what is there already for this file is taken as it is.
    """
    target = folder / _named([requirements.read_text(encoding="utf-8")])
    if not (target / _STAMP).exists():
        _run("install", "--no-deps", "--target", str(target), "-r", str(requirements))
        (target / _STAMP).touch()
    return target


def _named(parts: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:12]


def _run(*arguments: str) -> None:
    subprocess.run([*_PIP, *arguments], check=True)
