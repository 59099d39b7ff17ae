"""A process that checks one spec after the other and can be replaced by one that has imported nothing yet."""

from __future__ import annotations

from pathlib import Path

from teaspec.batch.checked import Checked
from teaspec.batch.checker import Settings
from teaspec.batch.worker import Worker


class Rechecker:
    """Checks specs in a process of its own, which keeps what it has imported until it is renewed."""

    def __init__(self, settings: Settings) -> None:
        """Prepares it; the process is started with the first spec.

        Args:
            settings: How specs are checked.
        """
        self._settings = settings
        self._worker: Worker | None = None

    def check(self, path: Path) -> Checked:
        """Checks one spec; whatever goes wrong is in the result.

        Args:
            path: Its file.
        """
        if self._worker is None or not self._worker.lives:
            self.renew()
            self._worker = Worker(self._settings)
        self._worker.send(path)
        return self._worker.receive()

    def renew(self) -> None:
        """Ends the process; the next spec is checked by another one."""
        if self._worker is not None:
            self._worker.terminate()
            self._worker.stop()
            self._worker = None

    def __enter__(self) -> Rechecker:
        return self

    def __exit__(self, *_exception: object) -> None:
        self.renew()
