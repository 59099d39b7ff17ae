"""Scratch environments that differ from this one in the version of diffusers: a folder ahead on the path."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

from teaspec.versions.supported import is_supported

ROOT = Path(__file__).parents[2]


def minor_versions() -> list[str]:
    """The newest version of each minor that is supported, as the package index has them, the oldest first."""
    listed = _pip("index", "versions", "diffusers")
    found = re.search(r"Available versions: (.*)", listed)
    if found is None:
        raise RuntimeError(f"pip names no versions of diffusers: {listed.strip()}")
    versions = sorted(map(Version, found[1].split(", ")))
    return list({v.release[:2]: str(v) for v in versions if is_supported(str(v))}.values())


def install(version: str, folder: Path) -> Path:
    """Puts a version of diffusers into a folder, if it is not there yet, with what it needs and this environment lacks.

    Versions that want a library which this environment has under another name or in another version get it beside
    them only where they cannot be imported else: everything but diffusers stays what it is here, so that what moves has
    moved with diffusers.

    Args:
        version: The version.
        folder: Where such folders are kept.

    Returns:
        The folder that belongs on the path.
    """
    target = folder / f"diffusers-{version}"
    if not target.exists():
        unfinished = target.with_suffix(".unfinished")
        _install(unfinished, f"diffusers=={version}")
        missing = [need for need in _needs(unfinished) if need.name == "httpx" and not _is_here(need.name)]
        if missing:
            _install(unfinished, *map(str, missing), "httpcore<2")
        unfinished.rename(target)
    return target


def run(target: Path | None, *arguments: str) -> str:
    """Runs Python with a folder ahead on the path.

    Args:
        target: The folder; None for this environment as it is.
        *arguments: Those of the interpreter.

    Returns:
        The standard output; a check that fails has one, too.

    Raises:
        RuntimeError: There is none.
    """
    ahead = [str(ROOT)] if target is None else [str(target), str(ROOT)]
    inherited = [path for path in [os.environ.get("PYTHONPATH")] if path]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([*ahead, *inherited])}
    command = [sys.executable, *arguments]
    done = subprocess.run(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=False)
    if not done.stdout:
        raise RuntimeError(f"{' '.join(command)} ended with code {done.returncode} and said nothing")
    return done.stdout


def _needs(target: Path) -> list[Requirement]:
    metadata = next(target.glob("diffusers-*.dist-info/METADATA")).read_text(encoding="utf-8")
    return [Requirement(line) for line in re.findall(r"^Requires-Dist: ([^;\n]+)$", metadata, re.MULTILINE)]


def _is_here(name: str) -> bool:
    return subprocess.run([sys.executable, "-c", f"import {name}"], capture_output=True, check=False).returncode == 0


def _install(target: Path, *what: str) -> None:
    _pip("install", "--quiet", "--no-deps", "--target", str(target), *what)


def _pip(*arguments: str) -> str:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
