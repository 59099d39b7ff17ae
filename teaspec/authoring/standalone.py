"""A generated extractor as a file of its own: what it was made from on top, then the module."""

from __future__ import annotations

import hashlib
import importlib.metadata
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from teaspec.authoring.formatting import formatted
from teaspec.compiler.report.cells import printable

if TYPE_CHECKING:
    from teaspec.compiler import CompiledExtractor, Spec
    from teaspec.compiler.forms.source import SourceFile

_DIGITS = 16


class NotStandaloneError(Exception):
    """The extractor needs names that no import can reach."""


def standalone(spec: Spec, extractor: CompiledExtractor) -> str:
    """Writes an extractor as the text of a module.

    The header has the versions of teaspec, of the model's package and of what formats the text, and hashes of the spec
    and of each file of the model that the extractor was cut from: the same header means the same text.

    Args:
        spec: Names the class that the module is for.
        extractor: What was compiled from it.

    Raises:
        NotStandaloneError: The model's class was made inside a function, whose names no import can reach.
    """
    files = _files(extractor)
    if extractor.program.extract.source.owner_path is None:
        raise NotStandaloneError(
            f"{extractor.program.class_name} was made inside a function, and what is cut from it cannot be imported"
        )
    text, formatters = formatted(extractor.source)
    packages = dict.fromkeys(["teaspec", *(file.module.partition(".")[0] for file in files), *formatters])
    header = ["# " + ", ".join(_versioned(package) for package in packages)]
    header.append(f"# {_hash(spec.document.text.encode())} {printable(Path(spec.document.name).name)}")
    header += [f"# {_hash(Path(file.path).read_bytes())} {printable(file.shown)}" for file in files]
    return "\n".join([*header, text])


def write_if_changed(path: Path, text: str) -> bool:
    """Writes a file unless it holds the text already, so that its time says when it last changed.

    Args:
        path: The file.
        text: What it is to hold.

    Returns:
        Whether it was written.

    Raises:
        OSError: It cannot be written.
    """
    content = text.encode("utf-8")
    if path.is_file() and path.read_bytes() == content:
        return False
    path.write_bytes(content)
    return True


def _files(extractor: CompiledExtractor) -> list[SourceFile]:
    """The files of the model that the extractor was cut from, the forward's first."""
    program = extractor.program
    functions = [program.extract, *program.norm_functions, *([program.dispatch] if program.dispatch else [])]
    return list({function.source.file.path: function.source.file for function in functions}.values())


def _versioned(package: str) -> str:
    return " ".join([package, *_version(package)])


def _version(package: str) -> Iterator[str]:
    try:
        yield importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return  # a package that lies on the path and was never installed


def _hash(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()[:_DIGITS]}"
