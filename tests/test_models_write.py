"""Writing the table of models: a run that is cut short loses nothing."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path

import pytest

from teaspec.models.facts import load_table
from tools.models import write as writing

SPECS = Path(__file__).parents[1] / "specs"


class CutShortError(Exception):
    pass


class Killed:
    """In place of the processes: none of them comes to an end."""

    def __init__(self, **_settings: object) -> None: ...

    def __enter__(self):
        return self

    def __exit__(self, *_error: object) -> None: ...

    def submit(self, _function, _path, _known):
        future = Future()
        future.set_exception(CutShortError())
        return future


def test_a_run_that_is_cut_short_keeps_what_was_stored(tmp_path, monkeypatch):
    """Seen red: the table begun anew, with the classes that were counted so far."""
    stored = load_table()
    file, page = tmp_path / "models.json", tmp_path / "models.md"
    file.write_bytes(writing.FILE.read_bytes())
    monkeypatch.setattr(writing, "FILE", file)
    monkeypatch.setattr(writing, "PAGE", page)
    monkeypatch.setattr(writing, "ProcessPoolExecutor", Killed)
    paths = sorted(SPECS.glob("*.yaml"))
    monkeypatch.setattr(writing, "shipped_specs", lambda: paths)
    with pytest.raises(CutShortError):
        writing.write([paths[1].stem])  # behind the first, which is not counted
    assert load_table(file.read_text(encoding="utf-8")) == stored
    assert page.read_text(encoding="utf-8").count("](../specs/") == len(stored.models)
