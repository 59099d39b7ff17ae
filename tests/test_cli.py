"""The command line: exit codes, formats, and diagnostics in place of tracebacks."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

import teaspec
from teaspec import cli
from tests.proof.small import SPEC

pytestmark = pytest.mark.usefixtures("one_interpreter")

ROOT = Path(__file__).parents[1]
FLUX = (ROOT / "specs" / "flux.yaml").read_text(encoding="utf-8")
WRONG = SPEC.replace("head: norm_out", "head: norm_oot")


def run(*arguments):
    """Runs a command; the models of the tests may be checked."""
    allowed = ["--allow", "tests"] if arguments[0] == "check" else []
    return CliRunner().invoke(cli.app, [*map(str, arguments), *allowed])


@pytest.fixture
def write(tmp_path):
    def write(text, name="small.yaml"):
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return write


@pytest.fixture
def broken_output(monkeypatch):
    """A postlude that is wrong, by way of a changed model: the extractor runs another forward than the module."""
    from teaspec.proof import run as proof_run
    from tests.proof.broken import Broken, with_output

    def compile_changed(spec, module):
        from teaspec.compiler import compile_spec

        compiled = compile_spec(spec, module)
        broken = Broken(compiled, lambda context, module, kwargs: with_output(context, lambda output: None))
        broken.source, broken.program = compiled.source, compiled.program
        return broken

    monkeypatch.setattr(proof_run, "compile_spec", compile_changed)


def test_version():
    result = run("--version")
    assert (result.exit_code, result.stdout) == (0, f"teaspec {teaspec.__version__}\n")


def test_as_a_module():
    """Mutation: `teaspec/__main__.py` is gone."""
    done = subprocess.run([sys.executable, "-m", "teaspec", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"teaspec {teaspec.__version__}\n"


def test_a_spec_that_holds(write):
    path = write(SPEC)
    result = run("check", path, "--examples", 3)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0] == f"{path}  tests.proof.small:SmallTransformer"
    for role, label, source in [
        ("embed", "embed -> temb", "self.embed(timestep[:, None].float())"),
        ("norm", "blocks.0.norm1", "self.norm1(hidden_states)"),
        ("loop", "blocks", "for block in self.blocks:"),
        ("head", "norm_out", "self.norm_out(hidden_states)"),
    ]:
        (line,) = (line for line in lines if line.startswith(f"  {role} "))
        assert label in line and source in line and "tests/proof/small.py:" in line
    assert "cached  the residual of hidden_states" in lines
    assert any("encoder_hidden_states = self.text_in(encoder_hidden_states)" in line for line in lines)
    assert any(line.startswith("operations  a reused step takes ") for line in lines)
    assert sum(line.startswith("  PASS ") for line in lines) == 10
    assert lines[-1] == f"PASS {path}: 10 properties hold"
    assert result.stderr == ""
    assert "\x1b" not in result.output
    assert "def run_blocks(" not in result.stdout


def test_a_property_that_fails(write, broken_output):
    path = write(SPEC)
    result = run("check", path, "--examples", 3)
    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    start = next(index for index, line in enumerate(lines) if line.startswith("  FAIL exact "))
    assert lines[start + 1 : start + 6] == [
        "    the output is a NoneType, the forward returns a Output",
        "    smallest failing example:",
        "      case: the base",
        "      dtype: float32",
        "      dims: batch=1, image=2, text=1",
    ]
    assert lines[-1].startswith(f"FAIL {path}: exact, computed, reused")
    concise = run("check", path, "--examples", 3, "--format", "concise")
    assert concise.exit_code == 1
    assert concise.stdout.splitlines() == [lines[-1]]
    data = json.loads(run("check", path, "--examples", 3, "--format", "json").stdout)
    assert data["passed"] is False and data["specs"][0]["passed"] is False
    results = {item["name"]: item for item in data["specs"][0]["report"]["properties"]}
    assert results["exact"]["passed"] is False and "batch=1" in results["exact"]["minimal_example"]
    assert results["forward"]["passed"] is True


def test_json_of_a_spec_that_holds(write):
    path = write(SPEC)
    result = run("check", path, "--examples", 2, "--format", "json", "--source")
    assert result.exit_code == 0
    assert result.stderr == ""
    data = json.loads(result.stdout)
    assert data["passed"] is True and data["teaspec"] == teaspec.__version__
    assert data["versions"].keys() == {"python", "torch", "diffusers"}  # the issue forms ask for them
    assert data["versions"]["torch"].partition("+")[0] == torch.__version__.partition("+")[0]
    (entry,) = data["specs"]
    assert entry["spec"] == str(path) and entry["diagnostics"] == [] and entry["error"] is None
    report = entry["report"]
    assert [mark["role"] for mark in report["landmarks"]] == ["embed", "norm", "loop", "head"]
    assert report["cached"] == {"residuals": ["hidden_states"], "carried": [], "arguments": []}
    assert 0 < report["flops"]["reused"] < report["flops"]["full"]
    assert report["flops"]["ratio"] == report["flops"]["reused"] / report["flops"]["full"]
    assert "def run_blocks(" in entry["source"]


def test_source_is_printed_on_demand(write):
    assert "def run_blocks(" in run("check", write(SPEC), "--examples", 1, "--source").stdout


def test_the_seed_repeats_a_run(write):
    path = write(SPEC)
    runs = [run("check", path, "--examples", 2, "--seed", seed, "--format", "json").stdout for seed in (4, 4)]
    assert runs[0] == runs[1]


def test_several_specs(write):
    good, bad = write(SPEC), write(WRONG, "bad.yaml")
    result = run("check", bad, good, "--examples", 1, "--format", "concise")
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        f"FAIL {bad}",
        f"PASS {good}: 10 properties hold",
        "2 specs: 1 passed, 1 failed",
    ]
    assert result.stderr == (
        f"{bad}:6:7: error[unknown-head]: no call of `self.norm_oot` after the blocks in `SmallTransformer.forward`\n"
    )
    data = json.loads(run("check", bad, good, "--examples", 1, "--format", "json").stdout)
    assert [entry["passed"] for entry in data["specs"]] == [False, True]
    assert data["specs"][0]["diagnostics"][0]["code"] == "unknown-head"
    assert data["specs"][0]["report"] is None


def test_all_shipped_specs(write, monkeypatch, tmp_path):
    """One line for each, with the paths as they are from here."""
    write(SPEC)
    write(WRONG, "bad.yaml")
    monkeypatch.setattr("teaspec.catalog.shipped_specs", lambda: [tmp_path / "bad.yaml", tmp_path / "small.yaml"])
    monkeypatch.chdir(tmp_path)
    result = run("check", "--all", "--examples", 1)
    assert result.exit_code == 1
    lines = ["FAIL bad.yaml", "PASS small.yaml: 10 properties hold", "2 specs: 1 passed, 1 failed"]
    assert result.stdout.splitlines() == lines
    assert "error[unknown-head]" in result.stderr
    text = run("check", "--all", "--examples", 1, "--format", "text").stdout.splitlines()
    assert "cached  the residual of hidden_states" in text and text[-1] == lines[-1]


def test_the_bar_of_a_terminal_is_not_in_the_output(write):
    good, bad = write(SPEC), write(WRONG, "bad.yaml")
    arguments = ["check", str(bad), str(good), "--examples", "1", "--format", "concise", "--allow", "tests"]
    result = CliRunner(env={"FORCE_COLOR": "1", "COLUMNS": "300"}).invoke(cli.app, arguments)
    assert "0/2" in result.stderr and str(good) in result.stderr
    plain = re.sub(r"\x1b\[[0-9;]*m", "", result.stdout)
    assert plain.splitlines() == [f"FAIL {bad}", f"PASS {good}: 10 properties hold", "2 specs: 1 passed, 1 failed"]


@pytest.mark.parametrize(
    ("right", "wrong", "line", "column", "nearest", "model_line"),
    [
        ("[transformer_blocks,", "[transfomer_blocks,", 6, 31, "transformer_blocks", "for index_block, block in"),
        ("blocks.0.norm1\n", "blocks.0.nrom1\n", 5, 7, "norm1", "def forward("),
        ("head: norm_out", "head: norm_oot", 8, 7, "norm_out", "self.norm_out(hidden_states, temb)"),
        ("embed: time_text_embed", "embed: time_txt_embed", 4, 8, "time_text_embed", "self.time_text_embed(timestep"),
    ],
    ids=["loop", "norm", "head", "embed"],
)
def test_a_misspelt_landmark(write, right, wrong, line, column, nearest, model_line):
    assert FLUX.count(right) == 1
    path = write(FLUX.replace(right, wrong), "flux.yaml")
    result = run("check", path, "--examples", 1)
    assert result.exit_code == 1
    assert result.exception is None or isinstance(result.exception, SystemExit)
    assert result.stdout == f"FAIL {path}\n"
    assert "Traceback" not in result.stderr
    assert f"--> {path}:{line}:{column}\n" in result.stderr
    assert FLUX.replace(right, wrong).splitlines()[line - 1] in result.stderr
    assert f"`{nearest}`" in result.stderr
    assert "diffusers/models/transformers/transformer_flux.py:" in result.stderr
    assert model_line in result.stderr


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (SPEC.replace("head: norm_out\n", ""), "missing-key"),
        (SPEC.replace("tests.proof.small:SmallTransformer", "diffusers.FluxTransformer2DModle"), "unknown-model"),
        (SPEC.replace("tests.proof.small:SmallTransformer", "tests.no_such_module.Model"), "unknown-model"),
        ("model: [", "yaml-syntax"),
    ],
)
def test_other_mistakes_are_diagnostics_too(write, text, code):
    result = run("check", write(text), "--examples", 1)
    assert result.exit_code == 1
    assert f"error[{code}]" in result.stderr
    assert "Traceback" not in result.output


def test_a_probe_that_the_model_refuses(write):
    path = write(SPEC.replace("{width: 6}", "{widht: 6}"))
    result = run("check", path, "--examples", 1)
    assert result.exit_code == 1
    assert result.stderr.startswith(
        f"error: {path}: SmallTransformer cannot be built from the probe's config: it takes no `widht`; did you mean"
    )
    data = json.loads(run("check", path, "--examples", 1, "--format", "json").stdout)
    assert "widht" in data["specs"][0]["error"]


def test_a_spec_without_a_probe(write):
    path = write(SPEC.partition("probe:")[0])
    result = run("check", path)
    assert result.exit_code == 1
    assert result.stderr == f"error: {path}: the spec has no `probe` with inputs, so there is nothing to run\n"


def test_a_probe_whose_forward_fails(write):
    path = write(SPEC.replace("[batch, image, 3]", "[batch, image, 4]"))
    result = run("check", path, "--examples", 1)
    assert result.exit_code == 1
    assert "FAIL forward" in result.stdout
    assert "the model's own forward fails: RuntimeError" in result.stdout


def test_files_that_cannot_be_read(write, tmp_path):
    good = write(SPEC)
    binary = tmp_path / "binary.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    missing = tmp_path / "smal.yaml"
    result = run("check", missing, tmp_path, binary, good)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr.splitlines() == [
        f"error: {missing}: no such file; did you mean `small.yaml`?",
        f"error: {tmp_path} is a folder; name the files in it, for example {tmp_path}/*.yaml",
        f"error: {binary} is not text in UTF-8: byte 0 cannot be read",
    ]
    data = json.loads(run("check", missing, good, "--format", "json").stdout)
    assert data["passed"] is False
    assert [entry["error"] is None for entry in data["specs"]] == [False, True]


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() == 0, reason="root reads everything")
def test_a_file_without_permission(write):
    path = write(SPEC)
    path.chmod(0)
    result = run("check", path)
    assert result.exit_code == 2
    assert result.stderr == f"error: {path} cannot be read: Permission denied\n"


@pytest.mark.parametrize(
    "arguments",
    [
        ["check"],
        ["check", "x.yaml", "--all"],
        ["check", "x.yaml", "--examples", "0"],
        ["check", "x.yaml", "--jobs", "0"],
        ["check", "x.yaml", "--examples", "many"],
        ["check", "x.yaml", "--format", "xml"],
        ["check", "x.yaml", "--seed", "-1"],
        ["no-such-command"],
        ["--no-such-option"],
    ],
)
def test_wrong_usage(arguments):
    result = run(*arguments)
    assert result.exit_code == 2
    assert "Traceback" not in result.output


def test_a_bug_is_one_line_and_how_to_report_it(write, monkeypatch, capsys):
    def fail(*args, **kwargs):
        raise ZeroDivisionError("in the\nmiddle")

    path = str(write(SPEC))
    monkeypatch.setattr("teaspec.proof.run.check_spec", fail)
    monkeypatch.setattr(sys, "argv", ["teaspec", "check", path])
    with pytest.raises(SystemExit) as info:
        cli.main()
    assert info.value.code == 70
    captured = capsys.readouterr()
    assert captured.out == f"FAIL {path}\n"
    first, second = captured.err.splitlines()
    assert first == "internal error: ZeroDivisionError: in the middle"
    assert "bug in teaspec" in second and "--debug" in second
    monkeypatch.setattr(sys, "argv", ["teaspec", "check", path, "--format", "json"])
    with pytest.raises(SystemExit) as info:
        cli.main()
    assert info.value.code == 70
    (entry,) = json.loads(capsys.readouterr().out)["specs"]
    assert entry["error"] == "internal error: ZeroDivisionError: in the middle"
    monkeypatch.setattr(sys, "argv", ["teaspec", "check", path, "--debug"])
    with pytest.raises(SystemExit) as info:
        cli.main()
    assert info.value.code == 70
    assert "Traceback (most recent call last)" in capsys.readouterr().err


def test_the_list_of_models():
    lines = run("list").stdout.splitlines()
    data = json.loads(run("list", "--format", "json").stdout)["models"]
    assert len(lines) == len(data) > 8
    flux = next(line for line in lines if line.startswith("FluxTransformer2DModel\t"))
    assert flux.split("\t")[1:7] == ["flux", "dual", "norm", "published (+2)", "0.22 to 0.8", "hidden_states"]
    assert run("list", "--format", "concise").stdout.splitlines() == lines
    table = CliRunner(env={"COLUMNS": "200"}).invoke(cli.app, ["list", "--format", "text"]).stdout
    assert "calibration" in table.splitlines()[1] and "published (+2)" in table
    terminal = CliRunner(env={"FORCE_COLOR": "1"}).invoke(cli.app, ["list"]).stdout
    assert "\x1b" in terminal and "\t" not in terminal


def test_the_list_is_shown_at_once():
    """Reading it neither compiles nor imports what compiling needs."""
    code = "import sys; from teaspec.cli import main; sys.argv[1:] = ['list']; main()"
    process = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        check=True,
    )
    imported = {line.rpartition("|")[2].strip() for line in process.stderr.splitlines() if "import time:" in line}
    assert "teaspec.models.facts" in imported
    assert not imported & {"torch", "diffusers", "yaml", "jinja2", "hypothesis"}


def test_the_demo_says_what_it_needs(monkeypatch, tmp_path):
    def run_demo(*args, **kwargs):
        raise ModuleNotFoundError("No module named 'matplotlib'", name="matplotlib")

    monkeypatch.setattr("teaspec.demo.run", run_demo)
    result = run("demo", "--output", tmp_path)
    assert result.exit_code == 1
    assert "No module named 'matplotlib'" in result.stderr and "pip install teaspec[demo]" in result.stderr


def test_the_demo_needs_a_folder(write):
    path = write(SPEC)
    result = run("demo", "--output", path)
    assert result.exit_code == 2
    assert result.stderr == f"error: {path} is a file; --output names a folder\n"


def test_the_command_in_a_process_of_its_own(write):
    """No diffusers for what needs none, no colour in a pipe, and the exit code of a failed check."""
    code = "import sys; from teaspec.cli import main; sys.argv[0] = 'teaspec'; main()"
    bad = write("teaspec: 1\nmodle: x\n")
    process = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code, "check", str(bad)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, "FORCE_COLOR": "", "PYTHONPATH": str(ROOT)},
        check=False,
    )
    assert process.returncode == 1
    assert process.stdout == f"FAIL {bad}\n"
    assert "error[" in process.stderr and "\x1b" not in process.stderr
    imported = {line.rpartition("|")[2].strip() for line in process.stderr.splitlines() if "import time:" in line}
    assert "yaml" in imported
    assert not imported & {"diffusers", "hypothesis"}
