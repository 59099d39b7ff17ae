"""docs/index.md and docs/serving.md as a reader follows them: every block of code is run as it stands."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import tomllib

from tests.flux_folder import save_flux
from tests.test_tutorial import FENCE, ROOT, commands, fits

INDEX, SERVING, TUTORIAL = (
    FENCE.findall((ROOT / "docs" / f"{name}.md").read_text(encoding="utf-8"))
    for name in ("index", "serving", "adding-a-model")
)

# Both pages load the same pipeline, which is written once.
pytestmark = pytest.mark.xdist_group("front door")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where both pages are followed. The weights that they load lie there: tiny ones, under the name of the real."""
    folder = tmp_path_factory.mktemp("front-door")
    save_flux(folder / "black-forest-labs" / "FLUX.1-dev")
    (folder / "tinydit.py").write_text(dict(titled(TUTORIAL))["tinydit.py"], encoding="utf-8")
    for name, text in (*titled(INDEX), *titled(SERVING)):
        (folder / name).write_text(text, encoding="utf-8")
    return folder


def titled(blocks):
    return [(title, content) for _, title, content in blocks if title]


def run(folder, *command):
    environment = {
        **os.environ,
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT), os.environ.get("PYTHONPATH", "")]),
        "COLUMNS": "120",
        "OMP_NUM_THREADS": "1",
        "HF_HUB_OFFLINE": "1",
    }
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_every_block_is_of_a_kind_that_is_run_here():
    kinds = [[language for language, title, _ in blocks if not title] for blocks in (INDEX, SERVING)]
    assert kinds == [["console", "python", "console"], ["promql", "promql"]]
    assert [title for title, _ in (*titled(INDEX), *titled(SERVING))] == ["tinydit.yaml", "serve.py", "metrics.py"]


def test_ten_lines_cache_a_pipeline(folder):
    """Seen red: `enable` misspelt on the page."""
    (text,) = [content for language, title, content in INDEX if language == "python" and not title]
    assert len([line for line in text.splitlines() if line]) <= 10
    done = run(folder, sys.executable, "-c", text)
    assert done.returncode == 0, done.stderr
    decided = re.findall(r"│ (compute|reuse) +│ ([a-z ]+?) +│", done.stdout)
    assert len(decided) == 28 and decided[0] == ("compute", "first call") and ("reuse", "distance") in decided


def test_the_spec_of_the_page_holds(folder):
    """Seen red: `norm_out` misspelt on the page; another number of properties."""
    shown = [pair for language, title, content in INDEX if language == "console" for pair in commands(content)]
    checks = [(command, output) for command, output in shown if command.startswith("teaspec ")]
    assert len(checks) == 1
    for command, output in checks:
        done = run(folder, "bash", "-c", command)
        assert done.returncode == 0 and fits(output, done.stdout), done.stdout + done.stderr
    landmarks = dict(titled(INDEX))["tinydit.yaml"].partition("probe:")[0].splitlines()
    assert len(landmarks) == 7  # "the first seven lines", says the page


def test_what_is_installed_can_be(folder):
    """Seen red: an extra that there is not."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    shown = [command for language, _, content in INDEX if language == "console" for command, _ in commands(content)]
    installs = [command for command in shown if command.startswith("pip install ")]
    assert len(installs) == 2
    extras = {
        extra for command in installs for found in re.findall(r"\[(.+?)\]", command) for extra in found.split(",")
    }
    assert extras and extras <= project["optional-dependencies"].keys()
    assert (ROOT / "pyproject.toml").is_file()  # `pip install .`


COUNTING = """
from collections import Counter
from prometheus_client import REGISTRY, generate_latest
import teaspec
import metrics, serve

ran = Counter()
block = serve.pipe.transformer.transformer_blocks[0]
block.register_forward_hook(lambda *_: ran.update(blocks=1))
held = []
serve.pipe.transformer.register_forward_hook(lambda *_: held.append(REGISTRY.get_sample_value("teaspec_bytes_held")))
for prompt in ("a lighthouse in a storm", "a harbour"):
    assert serve.generate(prompt, steps=12).size
print("blocks", ran["blocks"])
print("calls", len(held), "held", max(held), "left", REGISTRY.get_sample_value("teaspec_bytes_held"))
print(generate_latest().decode())
"""


@pytest.fixture(scope="module")
def served(folder):
    done = run(folder, sys.executable, "-c", COUNTING)
    assert done.returncode == 0, done.stderr
    return done.stdout


def samples(text, name):
    """The values of a metric by their labels, as a scrape shows them."""
    found = re.findall(rf"^{name}\{{(.*?)\}} ([\d.e+]+)$", text, re.MULTILINE)
    return {frozenset(re.findall(r'(\w+)="(.*?)"', labels)): float(value) for labels, value in found}


def test_the_metrics_count_what_ran(served):
    """Beside the blocks that really ran, counted by torch. Seen red: `inc()` for reused steps alone."""
    blocks = int(re.search(r"^blocks (\d+)", served, re.MULTILINE)[1])
    calls = samples(served, "teaspec_calls_total")
    by_decision = {
        decision: sum(value for labels, value in calls.items() if ("decision", decision) in labels)
        for decision in ("compute", "reuse")
    }
    assert by_decision == {"compute": blocks, "reuse": 24 - blocks} and 0 < blocks < 24
    assert all(("model", "FluxTransformer2DModel") in labels for labels in calls)
    first = [value for labels, value in calls.items() if ("reason", "first call") in labels]
    assert sum(first) == 2  # one for each generation
    measured = samples(served, "teaspec_accumulated_count")
    assert sum(measured.values()) == sum(value for labels, value in calls.items() if ("reason", "distance") in labels)


def test_the_gauge_shows_what_is_held_while_a_generation_runs(served):
    """And that nothing stays. Seen red: the gauge set once, when watching begins."""
    calls, most, left = re.search(r"^calls (\d+) held ([\d.]+) left ([\d.]+)", served, re.MULTILINE).groups()
    assert int(calls) == 24 and float(most) > 0 and float(left) == 0


def test_the_queries_ask_for_metrics_that_there_are(served):
    """Seen red: a metric renamed in metrics.py alone."""
    queries = [content for language, _, content in SERVING if language == "promql"]
    asked = {name for query in queries for name in re.findall(r"\bteaspec_\w+", query)}
    assert asked and all(samples(served, name) for name in asked)
    labels = {label for query in queries for label in re.findall(r"(\w+)!?=\"", query)}
    assert labels <= {name for found in samples(served, "teaspec_calls_total") for name, _ in found}


def test_the_reasons_and_the_logger_are_those_of_the_code():
    """What the page tells to watch for is what the runtime says. Seen red: `other conditioning` renamed in the code."""
    from teaspec.runtime.step import deciding, ranks, telling

    page = (ROOT / "docs" / "serving.md").read_text(encoding="utf-8")
    for reason in (deciding.FIRST, deciding.CONDITIONING, deciding.ROWS, ranks.ELSEWHERE):
        assert f"`{reason}`" in page
    assert f"`{telling.logger.name}`" in page
    sources = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "teaspec" / "runtime").rglob("*.py"))
    said = re.sub(r'"\s*\n\s*"', "", sources)
    for quoted in re.findall(r'"([^"`]+)"', page.partition("## What to watch")[2].partition("## Before")[0]):
        pattern = re.escape(quoted).replace("4", "%d")
        assert re.search(pattern, said, re.IGNORECASE), quoted
