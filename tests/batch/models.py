"""Models that a check does not survive, or does not end on."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from tests.proof.small import SmallTransformer


class Deadly(SmallTransformer):
    """Takes the process with it."""

    def __init__(self, width: int = 8) -> None:
        super().__init__(width)
        os.kill(os.getpid(), signal.SIGKILL)


class Endless(SmallTransformer):
    """Says who is building it, and goes on for ever."""

    def __init__(self, folder: str) -> None:
        super().__init__()
        Path(folder, str(os.getpid())).touch()
        time.sleep(600)
