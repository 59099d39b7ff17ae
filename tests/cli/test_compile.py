"""`teaspec compile`: a module that stands alone, with a header that says what it was made from."""

from __future__ import annotations

import ast
import hashlib
import json
import re
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import black
import diffusers
import pytest
import torch
from typer.testing import CliRunner

import teaspec
from teaspec import cli
from teaspec.authoring.standalone import NotStandaloneError, standalone
from teaspec.compiler import compile_spec, load_spec
from tests.proof.small import SPEC, Output, SmallTransformer
from tests.toys.parts import SingleModel
from tests.toys.toy import spec_text

FLUX = Path(__file__).parents[2] / "specs" / "flux.yaml"


def run(*arguments):
    return CliRunner().invoke(cli.app, ["compile", *map(str, arguments), "--allow", "tests"])


@pytest.fixture
def small(tmp_path):
    path = tmp_path / "small.yaml"
    path.write_text(SPEC, encoding="utf-8")
    return path


def test_what_is_printed_is_an_extractor(small):
    result = run(small)
    assert (result.exit_code, result.stderr) == (0, "")
    namespace = {"__name__": "printed"}
    exec(compile(result.stdout, "printed", "exec"), namespace)
    module = SmallTransformer(width=6).eval()
    inputs = {"hidden_states": torch.randn(2, 3, 3), "timestep": torch.rand(2)}
    inputs["encoder_hidden_states"] = torch.randn(2, 4, module.text_in.in_features)
    with torch.no_grad():
        context = namespace["extractor"](module, **inputs)
        output = context.postprocess(*context.run_transformer_blocks())
        expected = module(**inputs)
    assert isinstance(output, Output) and torch.equal(output.sample, expected.sample)


def test_the_header_says_what_it_was_made_from(tmp_path):
    lines = run(FLUX).stdout.splitlines()
    model = Path(diffusers.__file__).parent / "models" / "transformers" / "transformer_flux.py"
    hashes = [hashlib.sha256(path.read_bytes()).hexdigest()[:16] for path in (FLUX, model)]
    assert lines[:3] == [
        f"# teaspec {teaspec.__version__}, diffusers {version('diffusers')}, black {version('black')}",
        f"# sha256:{hashes[0]} flux.yaml",
        f"# sha256:{hashes[1]} diffusers/models/transformers/transformer_flux.py",
    ]
    assert lines[3].startswith('"""The extractor of FluxTransformer2DModel.')


def test_it_is_formatted(monkeypatch):
    """As black leaves it, with the same statements; without black as the compiler wrote it, and it says so."""
    text = run(FLUX).stdout
    mode = black.Mode(line_length=120, target_versions={black.TargetVersion.PY310})
    with pytest.raises(black.NothingChanged):
        black.format_file_contents(text, fast=True, mode=mode)
    lines = [line for line in text.partition("\nfrom __future__")[2].splitlines() if '"' not in line]
    assert max(len(line.partition("  # ")[0]) for line in lines) <= 120  # black leaves strings and remarks as they are
    monkeypatch.setitem(sys.modules, "black", None)
    plain = run(FLUX).stdout
    assert plain != text and "black" not in plain.splitlines()[0]
    assert ast.dump(ast.parse(plain)) == ast.dump(ast.parse(text))
    assert sorted(re.findall(r"# (\w+\.py:\d+)", plain)) == sorted(re.findall(r"# (\w+\.py:\d+)", text))


def test_a_file_is_imported_without_the_compiler(tmp_path):
    file = tmp_path / "flux_extractor.py"
    result = run(FLUX, "-o", file)
    assert (result.exit_code, result.stdout, result.stderr) == (0, "", f"{file}: written\n")
    asked = (
        "import sys, flux_extractor as made; "
        "print(made.__doc__.split()[3], callable(made.extractor.enter), 'teaspec.compiler' in sys.modules)"
    )
    path = {"PYTHONPATH": f"{tmp_path}:{FLUX.parents[1]}", "PATH": ""}
    done = subprocess.run([sys.executable, "-c", asked], env=path, capture_output=True, text=True, check=True)
    assert done.stdout == "FluxTransformer2DModel. True False\n"


def test_a_file_is_written_only_if_it_changes(small, tmp_path):
    file = tmp_path / "extractor.py"
    assert run(small, "-o", file).stderr == f"{file}: written\n"
    before, text = file.stat().st_mtime_ns, file.read_bytes()
    assert run(small, "-o", file).stderr == f"{file}: unchanged\n"
    assert file.stat().st_mtime_ns == before
    file.write_text("something else")
    assert run(small, "-o", file).stderr == f"{file}: written\n"
    assert file.read_bytes() == text


def test_another_config_of_the_probe(tmp_path):
    first, second = (run(FLUX, "--case", case) for case in (0, 1))
    assert first.exit_code == second.exit_code == 0
    result = run(FLUX, "--case", 9)
    assert result.exit_code == 2 and "cases" in result.stderr


def test_what_is_wrong_is_said(small, tmp_path):
    small.write_text(SPEC.replace("head: norm_out", "head: norm_oot"))
    result = run(small)
    assert (result.exit_code, result.stdout) == (1, "") and "error[unknown-head]" in result.stderr
    (line,) = run(small, "--format", "concise").stderr.splitlines()
    assert line.startswith(f"{small}:6:7: error[unknown-head]: no call of `self.norm_oot`")
    result = run(small, "--format", "json")
    assert (result.exit_code, result.stderr) == (1, "")
    assert [one["code"] for one in json.loads(result.stdout)["diagnostics"]] == ["unknown-head"]
    small.write_text(SPEC.replace("{width: 6}", "{widht: 6}"))
    result = run(small)
    assert result.exit_code == 1
    assert result.stderr.startswith(f"error: {small}: SmallTransformer cannot be built from the probe's config")
    small.write_text(SPEC)
    assert run(tmp_path / "smal.yaml").exit_code == run(tmp_path).exit_code == 2
    result = run(small, "-o", tmp_path / "no" / "folder.py")
    assert result.exit_code == 2 and "cannot be written: No such file or directory" in result.stderr
    result = CliRunner().invoke(cli.app, ["compile", str(small)])
    assert result.exit_code == 1 and "error[package-not-allowed]" in result.stderr


def test_a_class_made_in_a_function_is_no_file():
    offset = 1

    class Local(SingleModel):
        def forward(self, hidden_states: torch.Tensor, timestep: torch.Tensor) -> torch.Tensor:
            temb = self.time_embed(timestep) + offset
            for block in self.transformer_blocks:
                hidden_states = block(hidden_states, temb, None)
            return self.norm_out(hidden_states, temb)

    spec = load_spec(spec_text("tests.nowhere:Local"))
    with pytest.raises(NotStandaloneError, match="Local was made inside a function"):
        standalone(spec, compile_spec(spec, Local()))
