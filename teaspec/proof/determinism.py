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
import time
import traceback
from collections.abc import Collection
from itertools import count, zip_longest
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from teaspec.compiler import compile_spec
from teaspec.compiler.passes.check import check
from teaspec.compiler.passes.import_model import import_model
from teaspec.compiler.passes.read import read
from teaspec.proof.inputs import Example
from teaspec.proof.result import PropertyResult
from teaspec.proof.subject import Subject

if TYPE_CHECKING:
    from types import TracebackType

    from teaspec.compiler.forms.spec import Spec

_NAME = "deterministic"
_CLAIM = "Another process with another hash seed generates the same source."
_TIMEOUT_SECONDS = 300
_POLL_SECONDS = 0.02
_CHILD = "from teaspec.proof.determinism import answer_requests; answer_requests()"


def sources(subject: Subject) -> list[str]:
    """The generated source for the base of the probe and for each of its cases."""
    return [_source(subject, case) for case in range(len(subject.alternatives))]


class FreshInterpreter:
    """Another Python process that compiles specs while this one does something else.

    It starts with the first request and can answer many.
    """

    def __init__(self, seed: int = 0) -> None:
        """Prepares it.

        Args:
            seed: Decides about its hash seed.
        """
        self._seed = seed
        self._numbers = count()
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = tempfile.TemporaryDirectory(prefix="teaspec-")

    def request(self, spec: Spec, allow: Collection[str] = ()) -> Path:
        """Asks for the generated sources of a spec and does not wait for them.

        Args:
            spec: Is compiled in the other interpreter, too.
            allow: Packages that its model may come from besides diffusers.

        Returns:
            What `wait` takes.
        """
        process = self._process = self._process or self._start()
        answer = Path(self._folder.name) / f"{next(self._numbers)}.json"
        request = {"text": spec.document.text, "name": spec.document.name, "allow": [*allow], "answer": str(answer)}
        assert process.stdin is not None
        try:
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
        except BrokenPipeError:
            pass  # `wait` tells how the process ended
        return answer

    def wait(self, answer: Path) -> list[str]:
        """Waits for an answer.

        Args:
            answer: What `request` returned.

        Returns:
            The generated sources, as `sources` gives them.

        Raises:
            RuntimeError: The compilation failed or did not end in time.
        """
        assert self._process is not None
        limit = time.monotonic() + _TIMEOUT_SECONDS
        while not answer.exists():
            if self._process.poll() is not None:
                raise RuntimeError(
                    f"the second interpreter ended with code {self._process.returncode}:\n{self._errors()}"
                )
            if time.monotonic() > limit:
                raise RuntimeError(f"the second compilation did not end within {_TIMEOUT_SECONDS} s")
            time.sleep(_POLL_SECONDS)
        found = json.loads(answer.read_text(encoding="utf-8"))
        if "error" in found:
            raise RuntimeError(f"the second compilation failed:\n{found['error']}")
        generated: list[str] = found["sources"]
        return generated

    def __enter__(self) -> FreshInterpreter:
        return self

    def __exit__(
        self, _type: type[BaseException] | None, _error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
        self._folder.cleanup()

    def _start(self) -> subprocess.Popen[bytes]:
        environment = {
            **os.environ,
            "PYTHONHASHSEED": self._other_hash_seed(),
            "OMP_NUM_THREADS": "1",
            # the model may lie where only this process looks
            "PYTHONPATH": os.pathsep.join(path or str(Path.cwd()) for path in sys.path),
        }
        with self._error_file.open("wb") as errors:
            return subprocess.Popen(
                [sys.executable, "-c", _CHILD],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env=environment,
            )

    def _other_hash_seed(self) -> str:
        other = (self._seed + 1) % 2**31
        return str(other + 1 if os.environ.get("PYTHONHASHSEED") == str(other) else other)

    @property
    def _error_file(self) -> Path:
        return Path(self._folder.name) / "errors.txt"

    def _errors(self) -> str:
        text = self._error_file.read_text(encoding="utf-8", errors="replace")
        return "\n".join(text.strip().splitlines()[-5:])


def answer_requests() -> None:
    """Compiles what standard input asks for, one request a line. Runs in the fresh interpreter."""
    for line in sys.stdin:
        request = json.loads(line)
        try:
            spec = check(read(request["text"], request["name"]))
            subject = Subject(spec, import_model(spec, request["allow"]), compile_spec)
            found: dict[str, Any] = {"sources": sources(subject)}
        except Exception:
            found = {"error": traceback.format_exc(limit=-3).strip()}
        answer = Path(request["answer"])
        # renamed into place, so that nobody reads half of it
        unfinished = answer.with_suffix(".unfinished")
        unfinished.write_text(json.dumps(found), encoding="utf-8")
        unfinished.replace(answer)


def prove_deterministic(here: list[str], interpreter: FreshInterpreter, answer: Path) -> PropertyResult:
    """Compares what this process generated with what the other one did.

    Args:
        here: The sources generated in this process.
        interpreter: The other process.
        answer: The request that was made.

    Returns:
        The result, with the first line that differs.
    """
    try:
        there = interpreter.wait(answer)
    except RuntimeError as error:
        return PropertyResult(_NAME, _CLAIM, False, 1, str(error))
    for case, (left, right) in enumerate(zip(here, there, strict=True)):
        if left != right:
            where = f"case {case}" if case else "the base"
            message = f"the source differs for {where}:\n{_first_difference(left, right)}"
            return PropertyResult(_NAME, _CLAIM, False, 1, message)
    return PropertyResult(_NAME, _CLAIM, True, 1)


def _first_difference(left: str, right: str) -> str:
    pairs = zip_longest(left.splitlines(), right.splitlines(), fillvalue="(no such line)")
    line, (here, there) = next((number, pair) for number, pair in enumerate(pairs, start=1) if pair[0] != pair[1])
    return f"line {line} here:  {here}\nline {line} there: {there}"


def _source(subject: Subject, case: int) -> str:
    smallest = {name: low for name, (low, _) in subject.alternatives[case].dims.items()}
    example = Example(case, torch.float32, smallest, frozenset(), None, 0, 0)
    extractor: Any = subject.extractor(example)
    text: str = extractor.source
    return text
