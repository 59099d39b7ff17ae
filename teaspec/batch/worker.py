"""A process that checks the specs it is sent, one after the other."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

from teaspec.batch.checked import Checked
from teaspec.batch.checker import Checker, Settings

# Forking a process that may hold torch's threads is not safe; a spawned one starts from nothing on every platform.
_CONTEXT = get_context("spawn")
_SECONDS_TO_END = 5


class Worker:
    """A checking process, seen from the one that sends it specs.

    Attributes:
        connection: Becomes ready when the spec it was sent is done, or the process has died of it.
        path: The spec it is on.
    """

    def __init__(self, settings: Settings) -> None:
        """Starts the process.

        Args:
            settings: How it checks.
        """
        self.connection, other = _CONTEXT.Pipe()
        self.path = Path()
        self._process = _CONTEXT.Process(target=work, args=(other, settings), daemon=True)
        with _interrupts_ignored():  # the process inherits this
            self._process.start()
        other.close()

    def send(self, path: Path) -> None:
        """Gives it a spec to check."""
        self.path = path
        with suppress(OSError):  # it has died: `receive` tells of it
            self.connection.send(path)

    def receive(self) -> Checked:
        """What became of that spec; waits for it."""
        try:
            result: Checked = self.connection.recv()
        except (EOFError, OSError):
            self._process.join()
            return Checked(str(self.path), error=f"{self.path}: the process that checked it {self._end()}")
        return result

    @property
    def lives(self) -> bool:
        """Whether it can be given another spec."""
        return self._process.exitcode is None

    def terminate(self) -> None:
        """Asks the process to end, whatever it is doing, and does not wait."""
        self._process.terminate()

    def stop(self) -> None:
        """Ends the process."""
        self._process.terminate()
        self._process.join(_SECONDS_TO_END)
        if self.lives:
            self._process.kill()
            self._process.join()
        self.connection.close()

    def _end(self) -> str:
        code = self._process.exitcode or 0
        if code >= 0:
            return f"ended with exit code {code}"
        return f"was ended by signal {-code} ({signal.Signals(-code).name})"


def work(connection: Connection, settings: Settings) -> None:
    """Checks what arrives until the sender is gone. Runs in the worker.

    Args:
        connection: To the sender.
        settings: How to check.
    """
    # The workers share the cores by running side by side. Read by torch when it is imported, and by the interpreter
    # that compiles a second time.
    os.environ["OMP_NUM_THREADS"] = "1"
    # As an interrupt it passes through everything and still lets the second interpreter and its folder be cleaned up.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with suppress(KeyboardInterrupt, EOFError, OSError), Checker(settings) as checker:
        while True:
            connection.send(checker.check(connection.recv()))


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Ctrl-C reaches every process of a terminal. It is for the one that started the workers to end them."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
