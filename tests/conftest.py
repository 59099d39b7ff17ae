"""What tests of several folders share."""

from __future__ import annotations

import shutil

import pytest

QUIET = [
    *("--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]


@pytest.fixture(scope="session")
def running_interpreter():
    """The second interpreter of `teaspec check`, for tests that do not ask whether it is a new one."""
    from teaspec.proof.determinism import FreshInterpreter

    class Running(FreshInterpreter):
        """Goes on where one check ends."""

        def __exit__(self, *_):
            pass

    one = Running()
    yield one
    FreshInterpreter.__exit__(one, None, None, None)


@pytest.fixture
def one_interpreter(monkeypatch, running_interpreter):
    """Commands of a test get an interpreter that is running: to start one takes seconds."""
    monkeypatch.setattr("teaspec.proof.determinism.FreshInterpreter", lambda seed: running_interpreter)


@pytest.fixture(scope="module")
def browser():
    """A Chromium for pages that are rendered."""
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed (extra `test`)")
    executable = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if executable is None:
        pytest.skip("no Chromium on this machine")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=executable, args=QUIET)
        yield browser
        browser.close()
