"""Checking specs one after the other, in this process."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

from teaspec.batch.checked import Bug, Checked
from teaspec.versions.supported import installed

if TYPE_CHECKING:
    from teaspec.compiler import Spec
    from teaspec.proof.determinism import FreshInterpreter
    from teaspec.proof.result import CheckReport


@dataclass(frozen=True)
class Settings:
    """What a check is asked for; worker processes are handed a copy.

    Attributes:
        examples: Calls drawn for each property.
        seed: Seed of weights and draws.
        allow: Packages that models may come from besides diffusers.
    """

    examples: int
    seed: int
    allow: tuple[str, ...] = ()


class Checker:
    """Checks specs. What several of them need, it keeps from one to the next until it is left."""

    def __init__(self, settings: Settings) -> None:
        """Prepares it; nothing slow is imported before the first valid spec.

        Args:
            settings: How specs are checked.
        """
        self._settings = settings
        self._interpreter: FreshInterpreter | None = None

    def check(self, path: Path, progress: Callable[[str], None] = lambda _name: None) -> Checked:
        """Checks one spec; whatever goes wrong is in the result.

        Args:
            path: Its file.
            progress: Told the name of each property before it is tried.
        """
        try:
            return self._check(path, progress)
        except Exception as error:
            summary = " ".join(f"{type(error).__name__}: {error}".split())
            return Checked(str(path), bug=Bug(summary, traceback.format_exc().rstrip()))

    def _check(self, path: Path, progress: Callable[[str], None]) -> Checked:
        from teaspec.compiler import SpecError, load_spec

        try:
            spec = load_spec(path)
        except SpecError as error:
            return Checked(str(path), diagnostics=error.diagnostics)
        # diffusers is imported here at the earliest: a spec with a typo is answered at once
        from teaspec.proof.build import ProbeError
        from teaspec.versions.history import history_of

        try:
            return Checked(str(path), report=self._prove(spec, progress), model_file=self._model_file(spec))
        except SpecError as error:
            history = history_of(spec.model)
            absent = history.lifetime if history.is_absent_from(installed()) else None
            return Checked(str(path), None, error.diagnostics, model_file=self._model_file(spec), absent=absent)
        except ProbeError as error:
            return Checked(str(path), error=f"{path}: {error}", model_file=self._model_file(spec))

    def _model_file(self, spec: Spec) -> str | None:
        from teaspec.compiler import SpecError
        from teaspec.compiler.passes.import_model import import_model

        try:
            model = import_model(spec, self._settings.allow)
        except SpecError:
            return None  # the result says so already
        return getattr(sys.modules.get(model.__module__), "__file__", None)

    def _prove(self, spec: Spec, progress: Callable[[str], None]) -> CheckReport:
        from teaspec.proof.determinism import FreshInterpreter
        from teaspec.proof.run import check_spec

        if self._interpreter is None:
            self._interpreter = FreshInterpreter(self._settings.seed)
        return check_spec(
            spec,
            examples=self._settings.examples,
            seed=self._settings.seed,
            progress=progress,
            interpreter=self._interpreter,
            allow=self._settings.allow,
        )

    def __enter__(self) -> Checker:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._interpreter is not None:
            self._interpreter.__exit__(kind, error, trace)
