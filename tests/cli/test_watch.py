"""`teaspec check --watch`, in a process of its own: saves of specs and models, mistakes, and the end."""

from __future__ import annotations

import inspect
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

from teaspec import cli
from teaspec.batch.checked import Checked
from teaspec.batch.checker import Checker
from teaspec.batch.watch import Watched
from tests.proof import small
from tests.proof.small import SPEC

ROOT = Path(__file__).parents[2]
PATIENCE = 120

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="signals")


class Running:
    """The command while it runs; everything that it writes, in the order in which it comes."""

    def __init__(self, folder, *arguments):
        self.process = subprocess.Popen(
            [sys.executable, "-c", "from teaspec.cli import main; main()", "check", *map(str, arguments), "--watch"],
            env={**os.environ, "PYTHONPATH": f"{ROOT}:{folder}", "TMPDIR": str(folder), "PYTHONUNBUFFERED": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            # what runs in the background of a script ignores interrupts, and so would this
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        )
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))

    def until_watching(self):
        """The lines up to the one that says that it waits for saves."""
        found, deadline = [], time.monotonic() + PATIENCE
        while not (found and found[-1].startswith("watching")):
            try:
                found.append(self.lines.get(timeout=max(deadline - time.monotonic(), 0)))
            except queue.Empty:
                raise AssertionError(f"still not watching after {found}") from None
        return found[:-1]

    def interrupt(self):
        """Ctrl-C, which reaches all processes of a terminal."""
        os.killpg(self.process.pid, signal.SIGINT)
        return self.process.wait(timeout=30)


@pytest.fixture
def start(tmp_path):
    started = []

    def start(*arguments):
        started.append(Running(tmp_path, *arguments))
        return started[-1]

    yield start
    for one in started:
        one.process.kill()
        one.process.wait()


def test_what_is_saved_is_checked_again(start, tmp_path):
    model = tmp_path / "watched_model.py"
    model.write_text(inspect.getsource(small), encoding="utf-8")
    text = SPEC.replace("tests.proof.small:", "watched_model:")
    one, two = tmp_path / "one.yaml", tmp_path / "two.yaml"
    one.write_text(text, encoding="utf-8")
    two.write_text("teaspec: 1\nmodle: x\n", encoding="utf-8")
    running = start(two, one, "--format", "concise", "--examples", 1, "--allow", "watched_model")
    *_, of_two, of_one = running.until_watching()
    assert (of_two, of_one) == (f"FAIL {two}", f"PASS {one}: 10 properties hold")

    one.write_text(text.replace("head: norm_out", "head: norm_oot"), encoding="utf-8")
    _, saved, *shown = running.until_watching()
    assert saved.endswith(f" saved: {one}")  # and nothing about the other one
    assert [line.partition(": no call")[0] for line in shown] == [
        f"{one}:6:7: error[unknown-head]", f"FAIL {one}"
    ]  # fmt: skip

    one.write_bytes(b"\xff\xfe")
    assert f"FAIL {one}" in running.until_watching()
    other = tmp_path / "other.yaml"  # as editors save: a new file takes the place of the old one
    other.write_text(text, encoding="utf-8")
    other.replace(one)
    assert running.until_watching()[-1] == f"PASS {one}: 10 properties hold"

    model.write_text(model.read_text(encoding="utf-8").replace("norm_out", "norm_last"), encoding="utf-8")
    _, saved, *shown = running.until_watching()
    assert saved.endswith(f" saved: {model}")
    assert shown[0].startswith(f"{one}:6:7: error[unknown-head]") and shown[1:] == [f"FAIL {one}"]

    children = psutil.Process(running.process.pid).children(recursive=True)
    assert children and running.interrupt() == 0
    assert "Traceback" not in "\n".join(running.lines.queue)
    assert psutil.wait_procs(children, timeout=20)[1] == []


def test_json_is_a_line_for_each_time(tmp_path, monkeypatch):
    spec = tmp_path / "one.yaml"
    spec.write_text("teaspec: 1\n", encoding="utf-8")

    def saved(watched):
        for _ in range(2):
            spec.write_text(spec.read_text(encoding="utf-8") + "head: norm_out\n", encoding="utf-8")
            yield
        raise KeyboardInterrupt

    monkeypatch.setattr("teaspec.batch.watch.wait_for_saves", saved)
    monkeypatch.setattr("teaspec.batch.rechecker.Rechecker", Checker)  # in this process
    result = CliRunner().invoke(cli.app, ["check", str(spec), "--watch", "--format", "json"])
    assert result.exit_code == 0
    rounds = [json.loads(line)["specs"] for line in result.stdout.splitlines()]
    codes = [{one["code"] for one in entry["diagnostics"]} for (entry,) in rounds]
    assert codes == [{"missing-key"}, {"missing-key"}, {"duplicate-key"}]


def test_what_it_needs_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    spec = tmp_path / "one.yaml"
    spec.write_text(SPEC, encoding="utf-8")
    result = CliRunner().invoke(cli.app, ["check", str(spec), "--watch"])
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr == "error: --watch needs the package watchfiles: `pip install teaspec[authoring]`\n"


def test_a_save_in_the_midst_of_a_check_is_not_lost(tmp_path):
    spec, model = tmp_path / "one.yaml", tmp_path / "model.py"
    spec.write_text("a", encoding="utf-8")
    model.write_text("a", encoding="utf-8")
    watched = Watched([spec])
    assert watched.saved() == ([], [])
    watched.note([spec])
    spec.write_text("ab", encoding="utf-8")  # while it is checked
    watched.learn(Checked(str(spec), model_file=str(model)))
    assert watched.saved() == ([spec], [])
    watched.note([spec])
    assert watched.saved() == ([], [])
    model.write_text("ab", encoding="utf-8")
    assert watched.saved() == ([spec], [model])
    watched.note([spec])
    spec.unlink()  # in the midst of being replaced
    assert watched.saved() == ([], [])
    spec.write_text("abc", encoding="utf-8")
    assert watched.saved() == ([spec], [])
