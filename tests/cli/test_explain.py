"""`teaspec explain`: a spec on the terminal and as a page, and the documentation of a code."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import tomllib
from typer.testing import CliRunner

from teaspec import cli
from teaspec.compiler.report import CODES
from teaspec.explain import codes
from tests.proof.small import SPEC

ROOT = Path(__file__).parents[2]


def run(*arguments, **environment):
    return CliRunner(env=environment).invoke(cli.app, ["explain", *map(str, arguments)])


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(SPEC, encoding="utf-8")
    return path


def test_a_spec(small):
    result = run(small, "--allow", "tests")
    assert (result.exit_code, result.stderr) == (0, "")
    assert "\x1b" not in result.stdout and not any(line.endswith(" ") for line in result.stdout.splitlines())
    assert "SmallTransformer.forward  tests/proof/small.py:" in result.stdout
    assert "^ embed: embed -> temb" in result.stdout
    assert "not read again, so not cached" in result.stdout


def test_a_class_that_has_a_spec(tmp_path):
    file = tmp_path / "page.html"
    assert run("WanTransformer3DModel", "--html", file).exit_code == 0
    assert "<h1>WanTransformer3DModel</h1>" in file.read_text(encoding="utf-8")


def test_colour_on_a_terminal_unless_it_is_unwanted(small):
    terminal = {"FORCE_COLOR": "1", "COLUMNS": "110", "TERM": "xterm-256color"}
    assert "\x1b[1;34mprelude" in run(small, "--allow", "tests", **terminal).stdout
    plain = run(small, "--allow", "tests", **terminal, NO_COLOR="1").stdout
    assert "prelude" in plain and "\x1b[1;34m" not in plain


def test_a_page(small, tmp_path):
    file = tmp_path / "page.html"
    result = run(small, "--allow", "tests", "--html", file)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", f"{file}: written\n")
    assert file.read_text(encoding="utf-8").startswith("<!doctype html>")
    assert run(small, "--allow", "tests", "--html", file).stderr == f"{file}: unchanged\n"
    result = run(small, "--allow", "tests", "--html", tmp_path / "no" / "page.html")
    assert result.exit_code == 2 and "cannot be written: No such file or directory" in result.stderr


def test_what_is_wrong_is_said_in_each_form(small):
    small.write_text(SPEC.replace("head: norm_out", "head: norm_oot"))
    text = run(small, "--allow", "tests")
    assert (text.exit_code, text.stdout) == (1, "") and f"--> {small}:" in text.stderr
    concise = run(small, "--allow", "tests", "--format", "concise")
    (line,) = concise.stderr.splitlines()
    assert line.startswith(f"{small}:") and ": error[unknown-head]: no call of `self.norm_oot`" in line
    data = json.loads(run(small, "--allow", "tests", "--format", "json").stdout)
    assert data["spec"] == str(small) and [one["code"] for one in data["diagnostics"]] == ["unknown-head"]
    small.write_text(SPEC.replace("{width: 6}", "{widht: 6}"))
    result = run(small, "--allow", "tests", "--format", "json")
    assert result.exit_code == 1 and "widht" in json.loads(result.stdout)["error"]
    small.write_text(SPEC)
    assert run(small, "--allow", "tests", "--case", 9).exit_code == 2
    result = run(small)
    assert result.exit_code == 1 and "error[package-not-allowed]" in result.stderr


def test_a_code():
    result = run("unknown-head")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    assert lines[0] == "unknown-head"
    assert CODES["unknown-head"] in lines
    assert any("^^^^^^^^ named here" in line for line in lines)
    assert "unknown-model" not in result.stdout  # the next section


def test_a_terminal_is_told_of_it(small):
    small.write_text("teaspec: 1\nmodle: x\n", encoding="utf-8")
    assert "teaspec explain missing-key" not in run(small).stderr
    last = run(small, FORCE_COLOR="1").stderr.splitlines()[-1]
    assert last.startswith("more about it: teaspec explain ") and "missing-key" in last
    assert last.count("unknown-key") == 1


def test_an_unknown_code():
    result = run("unknown-haed")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == (
        "error: there is no diagnostic code `unknown-haed`, nor such a spec; did you mean `unknown-head`?\n"
    )
    assert "codes in docs/diagnostics.md" in run("xyz").stderr
    assert "no such file" in run("flux.yaml").stderr


def test_a_file_comes_before_a_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("unknown-head").write_text(SPEC, encoding="utf-8")
    assert "SmallTransformer.forward" in run("unknown-head", "--allow", "tests").stdout


def test_every_code_has_its_section():
    assert sorted(codes.sections()) == sorted(CODES)
    for code, text in codes.sections().items():
        assert text.startswith(f"### `{code}`\n\n{CODES[code]}"), code
        assert text.count("\n#") == 0


def test_the_page_is_part_of_what_is_installed(tmp_path, monkeypatch):
    """Laid out as in a wheel, and found there; not beside the package, where a checkout has it."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    included = project["tool"]["hatch"]["build"]["targets"]["wheel"]["force-include"]
    package = tmp_path / "site" / "teaspec"
    monkeypatch.setattr(codes, "__file__", str(package / "explain" / "codes.py"))
    codes.sections.cache_clear()
    with pytest.raises(FileNotFoundError, match="not part of this installation"):
        codes.sections()
    target = tmp_path / "site" / included["docs/diagnostics.md"]
    target.parent.mkdir(parents=True)
    shutil.copy(ROOT / "docs" / "diagnostics.md", target)
    assert sorted(codes.sections()) == sorted(CODES)
    codes.sections.cache_clear()
