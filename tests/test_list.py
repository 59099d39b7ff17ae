"""`teaspec list CLASS` prints what the class's YAML holds, and every command finds a spec by any of its names."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from ruamel.yaml import YAML
from typer.testing import CliRunner

from teaspec import cli
from teaspec.catalog import SpecExtractor
from teaspec.cli.files import find_model, find_spec
from teaspec.models.details import as_text, details_of
from teaspec.models.facts import load_table
from tests.proof.small import SPEC

ROOT = Path(__file__).parents[1]
SPECS = sorted((ROOT / "specs").glob("*.yaml"))
FACTS = {model.spec: model for model in load_table().models}


def run(*arguments):
    return CliRunner().invoke(cli.app, [*map(str, arguments)])


def leaves(value):
    if isinstance(value, dict):
        for key, item in value.items():
            yield str(key)
            yield from leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item)
    else:
        yield value


def is_shown(value, text):
    if isinstance(value, (bool, type(None))):
        return str(value) in text
    return any(shown in text for shown in ((f"{value:g}", str(value)) if isinstance(value, (int, float)) else (value,)))


def facts_of(path):
    """What a YAML holds for its reader: all but the version, and the probe, of which the reasons alone are facts."""
    document = YAML(typ="safe").load(path.read_text(encoding="utf-8"))
    probe = document.pop("probe", {})
    del document["teaspec"]
    teacache = document.pop("teacache", {})
    variants = teacache.pop("variants", {})
    values = [*leaves(list(document.values())), *variants, *leaves(list(probe.get("untried", {}).items()))]
    for one in (teacache, *variants.values()):
        match = one.pop("match", {})
        settings = one.pop("thresholds", [])
        values += [*match, *leaves(list(match.values())), *leaves([list(setting.values()) for setting in settings])]
        values += leaves(list(one.values()))
    return [value for pair in values for value in (pair if isinstance(pair, tuple) else (pair,))]


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_every_fact_of_the_yaml_is_printed_and_is_in_the_json(path):
    """Mutation: `_sets` leaves out notes; or `_set` leaves out what a calibration is recognised by."""
    details = details_of(FACTS[path.name], SpecExtractor(path))
    shown = as_text(details, FACTS[path.name])
    assert [one for one in facts_of(path) if not is_shown(one, shown)] == []
    data = json.dumps(details, ensure_ascii=False).replace('\\"', '"')
    words = {True: "true", False: "false", None: "null"}  # 0 and 1 are equal to two of them, and are shown anyway
    assert [one for one in facts_of(path) if not is_shown(one, data) and words.get(one, one) not in data] == []


def test_it_is_read_from_the_yaml_and_not_from_what_is_shipped_about_it(tmp_path):
    """Mutation: `_list_one` takes the shipped facts of a file by its name alone."""
    path = tmp_path / "flux.yaml"
    path.write_text(SPEC.replace("head: norm_out", "head: norm_out # mine"), encoding="utf-8")
    shown = run("list", path)
    assert shown.exit_code == 0 and shown.stdout.startswith("SmallTransformer\n")
    assert "not counted" in shown.stdout


def test_as_text_and_as_json():
    shown = run("list", "FluxTransformer2DModel").stdout
    assert "cached          the residual of hidden_states\n" in shown
    assert "  presets       quality 0.25, balanced 0.25, fast 0.6\n" in shown
    assert "\nuse             teaspec.enable(pipe)  # a published threshold" in shown
    data = json.loads(run("list", "flux", "--format", "json").stdout)
    assert data["sets"]["base"]["presets"] == {"quality": 0.25, "balanced": 0.25, "fast": 0.6}
    assert data["sets"]["kontext"]["recognised_by"]["_name_or_path"] == ["*Kontext*"]
    assert data["residuals"] == ["hidden_states"] and 0 < data["reused_step"] < 0.001


def test_the_table_says_which_have_thresholds():
    """Mutation: `range` is the lowest one alone."""
    lines = {line.split("\t")[0]: line.split("\t") for line in run("list").stdout.splitlines()}
    assert lines["FluxTransformer2DModel"][5] == "0.22 to 0.8"
    assert lines["SD3Transformer2DModel"][5] == "0.6"
    assert lines["DiTTransformer2DModel"][5] == ""


NAMES = [
    "flux",
    "FluxTransformer2DModel",
    "diffusers.FluxTransformer2DModel",
    "diffusers.models.transformers.transformer_flux.FluxTransformer2DModel",
    "diffusers.models.transformers.transformer_flux:FluxTransformer2DModel",
    str(ROOT / "specs" / "flux.yaml"),
]


@pytest.mark.parametrize("named", NAMES)
def test_every_command_finds_a_spec_by_any_of_its_names(named):
    """Mutation: `find_spec` looks for the whole name among the classes; then those with a module are files."""
    assert find_spec(Path(named)).path.resolve() == ROOT / "specs" / "flux.yaml"
    assert find_model(named) == "diffusers.FluxTransformer2DModel"


@pytest.mark.parametrize("command", ["list", "explain", "compile", "check"])
def test_the_commands_themselves(command):
    more = ("--examples", 1) if command == "check" else ()
    shown = run(command, "diffusers:DiTTransformer2DModel", *more)
    assert shown.exit_code == 0, shown.output
    assert "DiTTransformer2DModel" in shown.stdout or "dit.yaml" in shown.stdout


def test_a_class_of_that_name_in_another_package_is_another_class():
    """Mutation: `_is_of` is always true; then a research model is checked against diffusers' class."""
    assert find_spec(Path("my_models.flux:FluxTransformer2DModel")).path == Path(
        "my_models.flux:FluxTransformer2DModel"
    )
    assert find_model("my_models.flux:FluxTransformer2DModel") == "my_models.flux:FluxTransformer2DModel"


def test_a_class_of_diffusers_needs_no_package_to_be_drafted():
    """Mutation: `find_model` returns what has no spec as it is."""
    assert find_model("UNet2DModel") == "diffusers.UNet2DModel"


def test_a_name_that_is_nearly_one(tmp_path, monkeypatch):
    """Mutation: `spec_names` are the classes alone."""
    monkeypatch.chdir(tmp_path)
    for command in ("list", "check", "compile", "explain"):
        shown = run(command, "fluxx")
        assert shown.exit_code == 2 and "did you mean `flux`?" in shown.stderr, command
    assert "did you mean `FluxTransformer2DModel`?" in run("list", "FluxTransformer2Model").stderr
