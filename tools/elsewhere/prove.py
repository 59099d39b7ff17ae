"""Proving a spec for a class of another package, with all properties of `teaspec check`."""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from teaspec.compiler import SpecError, compile_spec, load_spec
from teaspec.proof.build import ProbeError
from teaspec.proof.determinism import FreshInterpreter
from teaspec.proof.run import check_spec
from teaspec.proof.subject import Subject
from tools.elsewhere.outcome import Outcome
from tools.elsewhere.translate import translate

Serve = Callable[[Subject], None]


class Prover:
    """Proves specs one after the other."""

    def __init__(self, allow: str, interpreter: FreshInterpreter, examples: int, serve: Serve | None = None) -> None:
        """Prepares it.

        Args:
            allow: The package that classes come from.
            interpreter: Where second compilations run.
            examples: How many calls are drawn for each property.
            serve: Tries the other package's own hook; raises where something is wrong.
        """
        self._allow, self._interpreter, self._examples, self._serve = [allow], interpreter, examples, serve

    def shipped(
        self, path: Path, model: str, probe: Mapping[str, Any] | None = None, lines: Mapping[str, Any] | None = None
    ) -> Outcome:
        """Proves a shipped spec for another class.

        Args:
            path: The spec of diffusers' class.
            model: The import path of the other one.
            probe: What that wants otherwise.
            lines: What that calls otherwise.
        """
        module, _, name = model.partition(":")
        cls = getattr(importlib.import_module(module), name)
        translation = translate(path, model, cls, probe, lines)
        with tempfile.TemporaryDirectory(prefix="teaspec-") as folder:
            file = Path(folder) / path.name
            file.write_text(translation.text, encoding="utf-8")
            return self._prove(file, model, left_out=translation.left_out, changed=translation.changed)

    def own(self, path: Path) -> Outcome:
        """Proves a spec that was written for the other package's class."""
        return self._prove(path, load_spec(path).model)

    def _prove(self, path: Path, model: str, **facts: tuple[str, ...]) -> Outcome:
        reused = None
        served = ""
        try:
            spec = load_spec(path)
            report = check_spec(spec, examples=self._examples, interpreter=self._interpreter, allow=self._allow)
        except SpecError as error:
            verdict = "refused: " + ", ".join(dict.fromkeys(one.code for one in error.diagnostics))
        except ProbeError as error:
            verdict = f"fails: {_first_line(error)}"
        else:
            failed = [item for item in report.properties if not item.passed]
            verdict = "passes" if not failed else "fails: " + ", ".join(item.name for item in failed)
            if report.flops is not None:
                reused = report.flops.reused / report.flops.full
            served = self._served(path, model) if self._serve is not None and not failed else ""
        return Outcome(model, path.name, verdict, served, reused=reused, **facts)

    def _served(self, path: Path, model: str) -> str:
        assert self._serve is not None
        module, _, name = model.partition(":")
        subject = Subject(load_spec(path), getattr(importlib.import_module(module), name), compile_spec)
        try:
            self._serve(subject)
        except Exception as error:  # whatever goes wrong in a package of others is what the table is for
            return f"fails: {_first_line(error)}"
        return "passes"


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".partition("\n")[0][:200]
