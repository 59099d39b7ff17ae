"""Many specs at once: order, failures of all kinds, processes that die, and Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from teaspec.batch.checked import as_json
from teaspec.batch.checker import Checker, Settings
from teaspec.batch.run import check_files
from tests.proof.small import SPEC

ROOT = Path(__file__).parents[2]
SETTINGS = Settings(examples=2, seed=3, allow=("tests",))
DEADLY = SPEC.replace("tests.proof.small:SmallTransformer", "tests.batch.models:Deadly")
WRONG = SPEC.replace("head: norm_out", "head: norm_oot")

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals")


@pytest.fixture
def write(tmp_path):
    def write(name, text):
        path = tmp_path / f"{name}.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return write


def test_processes_side_by_side_say_what_one_does(write, tmp_path):
    """One that dies is reported for the spec it was on; the others go on, and the results keep their order."""
    good = [write("one", SPEC), write("two", SPEC), write("three", SPEC)]
    wrong, deadly, missing = write("wrong", WRONG), write("deadly", DEADLY), tmp_path / "missing.yaml"
    paths = [good[0], deadly, missing, good[1], wrong, good[2]]
    told = []
    results = list(check_files(paths, SETTINGS, 2, lambda done, text: told.append((done, text))))

    assert [result.spec for result in results] == list(map(str, paths))
    assert [result.passed for result in results] == [True, False, False, True, False, True]
    assert results[1].error == f"{deadly}: the process that checked it was ended by signal 9 (SIGKILL)"
    assert results[2].bug.summary.startswith("FileNotFoundError") and "Traceback" in results[2].bug.trace
    assert [diagnostic.code for diagnostic in results[4].diagnostics] == ["unknown-head"]
    assert told[0] == (0, "one, deadly")
    assert [done for done, _ in told] == sorted(done for done, _ in told)

    with Checker(SETTINGS) as checker:
        here = [checker.check(path) for path in (good[0], wrong)]
    assert as_json(here, True) == as_json([results[0], results[4]], True)


def test_one_process_unless_there_is_enough_to_do(write, monkeypatch):
    monkeypatch.setattr("teaspec.batch.run.Worker", None)  # starting one would fail
    wrong = write("wrong", WRONG)
    told = []
    for paths, jobs in [([wrong] * 4, None), ([wrong] * 2, 1), ([wrong], 8)]:
        results = list(check_files(paths, SETTINGS, jobs, lambda done, text: told.append(done)))
        assert [len(result.diagnostics) for result in results] == [1] * len(paths)
    assert told == [0, 1, 2, 3, 0, 1, 0]


@pytest.mark.parametrize("jobs", [1, 2])
def test_an_interrupt_ends_all_of_it(write, tmp_path, jobs):
    """Sent to the first process alone, and to all of them, as a terminal does."""
    endless = SPEC.replace("tests.proof.small:SmallTransformer", "tests.batch.models:Endless")
    (tmp_path / "started").mkdir()
    endless = endless.replace("{width: 6}", f"{{folder: {tmp_path}/started}}")
    paths = [write("one", endless), write("two", endless)]
    process = subprocess.Popen(
        [
            *(sys.executable, "-c", "from teaspec.cli import main; main()", "check"),
            *(*map(str, paths), "--jobs", str(jobs), "--allow", "tests"),
        ],
        env={**os.environ, "PYTHONPATH": str(ROOT), "TMPDIR": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # what runs in the background of a script ignores interrupts, and so would this
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )
    try:
        while len(started := list((tmp_path / "started").iterdir())) < jobs:
            assert process.poll() is None
            time.sleep(0.05)
        if jobs == 1:
            process.send_signal(signal.SIGINT)
        else:
            os.killpg(process.pid, signal.SIGINT)
        output, errors = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, output, errors) == (130, "", "")
    for path in started:
        with pytest.raises(ProcessLookupError):
            os.kill(int(path.name), 0)
    assert list(tmp_path.glob("teaspec-*")) == []
