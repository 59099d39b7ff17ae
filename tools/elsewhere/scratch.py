"""Running a module of this project where other packages stand before those of this environment."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tools.elsewhere.outcome import Outcome

_ROOT = Path(__file__).parents[2]


def outcomes_of(worker: str, watcher: str, packages: Sequence[Path], names: Sequence[str]) -> list[Outcome]:
    """Runs a worker, which writes outcomes as JSON.

    Args:
        worker: The module, called with the file to write and the names.
        watcher: A module whose `watch` is called when an interpreter there starts, also one that the worker starts.
        packages: Folders of packages, the first one first.
        names: What the worker is to prove; everything where there are none.
    """
    with tempfile.TemporaryDirectory(prefix="teaspec-elsewhere-") as folder:
        start, output = Path(folder) / "start", Path(folder) / "outcomes.json"
        start.mkdir()
        (start / "sitecustomize.py").write_text(f"from {watcher} import watch\n\nwatch()\n", encoding="utf-8")
        path = os.pathsep.join(map(str, (start, _ROOT, *packages)))
        environment = {**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
        subprocess.run([sys.executable, "-m", worker, str(output), *names], cwd=folder, env=environment, check=True)
        found = json.loads(output.read_text(encoding="utf-8"))
    return [Outcome(**{**one, "left_out": tuple(one["left_out"]), "changed": tuple(one["changed"])}) for one in found]
