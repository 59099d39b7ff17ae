"""The files that help those who carry on: workflows, hooks and forms are well-formed and call what there is."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import yaml

from teaspec.cli import app

ROOT = Path(__file__).parents[1]
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
FORMS = sorted(path for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if path.stem != "config")
HOOKS = ROOT / ".pre-commit-config.yaml"
TARGETS = set(re.findall(r"^([a-z]+):.*##", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
COMMANDS = {found.name or found.callback.__name__ for found in app.registered_commands if found.name or found.callback}


def loaded(path):
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def scalars(value):
    if isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from scalars(item)
    else:
        yield str(value)


def made(text):
    """The targets of make that a text calls."""
    return re.findall(r"\bmake(?: -\S+)* ([a-z]+)\b", text)


def called(text):
    """The commands of teaspec that a text calls."""
    return re.findall(r"\bteaspec ([a-z]+)\b", text)


@pytest.mark.xdist_group("habits")
@pytest.mark.skipif("PYTEST_XDIST_WORKER" not in os.environ, reason="no workers, so no groups (pytest -n 2)")
def test_groups_of_tests_stay_with_one_worker(request):
    """pytest 9.2 takes no notice of them, and what is made once for a group is made by every worker. Red with it."""
    assert request.node.nodeid.endswith("@habits")


def test_what_a_text_calls_is_found():
    text = "run `make test JOBS=4`, then make -j dist; teaspec check --all, not `teaspec --version`"
    assert made(text) == ["test", "dist"] and called(text) == ["check"]
    assert {"test", "dist", "docs"} <= TARGETS and {"check", "list", "init"} <= COMMANDS


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_call_the_makefile(path):
    """Seen red: `make tset`; a job that calls pytest by itself."""
    workflow = loaded(path)
    assert workflow["permissions"] == {"contents": "read"}
    # YAML 1.1, which GitHub does not read but this test does, takes `on` for a truth value
    assert workflow[True] and workflow["jobs"]
    for job in workflow["jobs"].values():
        for step in job["steps"]:
            assert ("uses" in step) != ("run" in step)
            assert re.fullmatch(r"[\w-]+/[\w-]+@[\w/.]+", step.get("uses", "a/b@c"))
            runs = step.get("run", "")
            assert not re.search(r"\b(pytest|ruff|mypy|pip|mkdocs|twine|build)\b", runs), "the Makefile does that"
            assert set(made(runs)) <= TARGETS, runs
    assert any(made(text) for text in scalars(workflow))


def test_the_hooks_call_what_there_is():
    """Seen red: `make lnit`; a pattern that no spec fits."""
    hooks = [hook for repository in loaded(HOOKS)["repos"] for hook in repository["hooks"]]
    assert hooks and all(hook["language"] == "system" for hook in hooks)
    for hook in hooks:
        assert set(made(hook["entry"])) <= TARGETS and set(called(hook["entry"])) <= COMMANDS
        assert made(hook["entry"]) or called(hook["entry"])
    (specs,) = [hook["files"] for hook in hooks if "files" in hook]
    assert all(re.search(specs, path.relative_to(ROOT).as_posix()) for path in (ROOT / "specs").glob("*.yaml"))
    assert not re.search(specs, "tests/bad_specs/bad-dim.yaml") and not re.search(specs, "specs/schema.json")


@pytest.mark.parametrize("path", FORMS, ids=lambda path: path.stem)
def test_forms_ask_for_the_check(path):
    """By GitHub's rules for forms. Seen red: two fields with one id; the check not asked for."""
    form = loaded(path)
    assert form["name"] and form["description"]
    fields = [field for field in form["body"] if field["type"] != "markdown"]
    names = [field["id"] for field in fields]
    assert len(set(names)) == len(names) and all(re.fullmatch(r"[\w-]+", name) for name in names)
    assert {field["type"] for field in fields} <= {"input", "textarea", "dropdown", "checkboxes"}
    assert all(field["attributes"]["label"] for field in fields)
    texts = list(scalars(form))
    assert any(re.search(r"`teaspec check .*--format json`", text) for text in texts)
    spans = [span for text in texts for span in re.findall(r"`([^`]+)`", text)]
    assert {command for span in spans for command in called(span)} <= COMMANDS


def test_there_are_some():
    assert len(WORKFLOWS) >= 3 and len(FORMS) >= 3


CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
YOURS = re.compile(r"your[_-]|Your[A-Z]")
"""What the reader makes."""


def spans(text):
    """Code between backticks, and the lines of blocks."""
    blocks = re.findall(r"^```\w*\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [*re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text), *(line for block in blocks for line in block.splitlines())]


def paths(text):
    """What looks like a path of the repository."""
    words = {word.rstrip(",.;:") for span in spans(text) for word in span.split()}
    links = set(re.findall(r"\]\(([^)#:]+)\)", text))
    candidates = {word for word in words if re.fullmatch(r"[\w.][\w./-]*(/|\.(py|md|yaml|yml|toml|txt|json))", word)}
    return {path for path in candidates | links if not YOURS.search(path)}


def test_files_that_contributing_names_are_there():
    """Seen red: `teaspec/compiler/rule/`; a link to a page that moved."""
    found = paths(CONTRIBUTING)
    assert len(found) > 40
    assert [path for path in sorted(found) if not path.startswith("dist/") and not (ROOT / path).exists()] == []


def test_every_package_is_on_the_map():
    """Seen red: `teaspec/draft/` left out."""
    packages = {path.parent.name for path in (ROOT / "teaspec").glob("*/__init__.py")}
    assert {name for name in packages if f"teaspec/{name}/" not in CONTRIBUTING} == set()


def test_commands_that_contributing_names_are_there():
    """Seen red: `make tests`; `teaspec explane`."""
    named = spans(CONTRIBUTING)
    assert {target for span in named for target in made(span)} <= TARGETS
    assert {command for span in named for command in re.findall(r"\bteaspec ([a-z]+)\b(?! \.)", span)} <= COMMANDS
    assert {"lint", "test", "models", "dist"} <= {target for span in named for target in made(span)}


def test_names_that_contributing_uses_are_in_the_files_that_it_names():
    """Each name stands in a file of the sentence around it. Seen red: `Guard` for `Guards`."""
    names = 0
    for sentence in re.split(r"(?<=\.)\s", CONTRIBUTING):
        files = [path for path in paths(sentence) if path.endswith(".py")]
        for name in re.findall(r"`([A-Z]\w+)`", sentence):
            if files:
                names += 1
                texts = [(ROOT / file).read_text(encoding="utf-8") for file in files]
                assert any(re.search(rf"\b{name}\b", text) for text in texts), name
    assert names >= 5


def test_options_of_pytest_that_contributing_uses():
    """Seen red: the option renamed in tests/compiler/conftest.py."""
    assert "--bless" in CONTRIBUTING
    assert '"--bless"' in (ROOT / "tests" / "compiler" / "conftest.py").read_text(encoding="utf-8")
