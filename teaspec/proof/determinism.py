"""Compiling the same spec in a fresh interpreter: the generated source must not depend on the process.

Compiling twice in one process would prove little. An order that comes from hashing strings is the same all through a
process and another in the next, so the second compilation gets its own interpreter, with its own hash seed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from teaspec.compiler import compile_spec
from teaspec.compiler.passes.check import check
from teaspec.compiler.passes.read import read
from teaspec.compiler.passes.resolve import import_model
from teaspec.proof.inputs import Example
from teaspec.proof.subject import Subject

if TYPE_CHECKING:
    from teaspec.compiler.forms.spec import Spec

_TIMEOUT_SECONDS = 300
_CHILD = "import sys; from teaspec.proof.determinism import write_sources; write_sources(*sys.argv[1:])"


def sources(subject: Subject) -> list[str]:
    """The generated source for the base of the probe and for each of its cases."""
    return [_source(subject, case) for case in range(len(subject.alternatives))]


def write_sources(text_file: str, name: str, output_file: str) -> None:
    """Compiles a spec and writes the generated sources as a JSON list. Runs in the fresh interpreter.

    Args:
        text_file: Holds the text of the spec.
        name: Name of its document; the generated source mentions it.
        output_file: Where to write.
    """
    spec = check(read(Path(text_file).read_text(encoding="utf-8"), name))
    subject = Subject(spec, import_model(spec), compile_spec)
    Path(output_file).write_text(json.dumps(sources(subject)), encoding="utf-8")


class SecondCompilation:
    """A compilation that runs in a fresh interpreter while this one does something else."""

    def __init__(self, spec: Spec, seed: int) -> None:
        """Starts it.

        Args:
            spec: The spec.
            seed: Decides about the hash seed of the interpreter.
        """
        self._folder = tempfile.TemporaryDirectory(prefix="teaspec-")
        folder = Path(self._folder.name)
        (folder / "spec.yaml").write_text(spec.document.text, encoding="utf-8")
        self._output = folder / "sources.json"
        environment = {
            **os.environ,
            "PYTHONHASHSEED": str(seed % 2**32),
            "OMP_NUM_THREADS": "1",
            # the model may lie where only this process looks
            "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path),
        }
        self._errors = folder / "errors.txt"
        with self._errors.open("wb") as errors:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _CHILD, str(folder / "spec.yaml"), spec.document.name, str(self._output)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env=environment,
            )

    def wait(self) -> list[str]:
        """Waits for the generated sources.

        Raises:
            RuntimeError: The compilation failed or did not end in time; the message ends with what it wrote.
        """
        try:
            self._process.wait(_TIMEOUT_SECONDS)
        except subprocess.TimeoutExpired:
            raise RuntimeError(f"the second compilation did not end within {_TIMEOUT_SECONDS} s") from None
        if self._process.returncode != 0:
            errors = self._errors.read_text(encoding="utf-8", errors="replace")
            last_lines = "\n".join(errors.strip().splitlines()[-5:])
            raise RuntimeError(f"the second compilation failed:\n{last_lines}")
        found: list[str] = json.loads(self._output.read_text(encoding="utf-8"))
        return found

    def close(self) -> None:
        """Ends it, whether it is done or not, and removes its files."""
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        self._folder.cleanup()


def _source(subject: Subject, case: int) -> str:
    smallest = {name: low for name, (low, _) in subject.alternatives[case].dims.items()}
    example = Example(case, torch.float32, smallest, frozenset(), None, 0, 0)
    extractor: Any = subject.extractor(example)
    text: str = extractor.source
    return text
