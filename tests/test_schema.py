"""The JSON Schema of a spec is current, agrees with the compiler about specs, and with the reference about keys."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from teaspec.authoring.meanings import MEANINGS
from teaspec.authoring.schema import DIALECT, make_schema, modeline, schema_text
from teaspec.cli import app
from teaspec.compiler.forms.values import KINDS
from teaspec.compiler.passes.read import read
from teaspec.compiler.report import SpecError
from tests.json_schema import errors, resolve

ROOT = Path(__file__).parents[1]
SPECS = sorted((ROOT / "specs").glob("*.yaml"))
BAD_SPECS = sorted((ROOT / "tests" / "bad_specs").glob("*.yaml"))
REFERENCE = (ROOT / "docs" / "spec-reference.md").read_text(encoding="utf-8")
SCHEMA = make_schema()
LINE = "# yaml-language-server: $schema=schema.json\n"


def accepts(data: Any) -> bool:
    return not any(True for _ in errors(data, SCHEMA, SCHEMA))


def data_of(path: Path) -> Any:
    return read(path.read_text(encoding="utf-8"), path.name).data


def test_the_file_is_current() -> None:
    assert (ROOT / "specs" / "schema.json").read_text(encoding="utf-8") == schema_text(), (
        "write it anew: teaspec schema -o specs/schema.json"
    )


def test_the_dialect_is_named_and_all_references_lead_somewhere() -> None:
    assert SCHEMA["$schema"] == DIALECT
    references = set(re.findall(r'"\$ref": "([^"]+)"', json.dumps(SCHEMA)))
    assert all(resolve(reference, SCHEMA) for reference in references)
    named = {reference.split("/")[2] for reference in references}
    assert named == SCHEMA["$defs"].keys()


def forms() -> dict[str, Any]:
    found = {"Spec": SCHEMA, **SCHEMA["$defs"]}
    return {name: form for name, form in found.items() if "properties" in form}


def test_every_key_is_described() -> None:
    told = {
        name: {key: one["description"] for key, one in form["properties"].items()} for name, form in forms().items()
    }
    assert told == MEANINGS
    assert all(meaning for form in told.values() for meaning in form.values())
    assert all(form["description"] and form["additionalProperties"] is False for form in forms().values())


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_a_shipped_spec_is_valid_and_names_the_schema(path: Path) -> None:
    assert list(errors(data_of(path), SCHEMA, SCHEMA)) == []
    assert path.read_text(encoding="utf-8").startswith(LINE)


def test_the_specs_of_the_reference_are_valid() -> None:
    examples = re.findall(r"^```yaml\n(teaspec: .*?)^```$", REFERENCE, re.MULTILINE | re.DOTALL)
    assert len(examples) >= 3
    assert [example for example in examples if not accepts(read(example, "example").data)] == []


# Mistakes that need two places of a spec in sight, or more than a pattern can say.
UNSEEN = {
    *("ambiguous-match", "duplicate-input", "empty-case", "impossible-size", "literal-names-a-dim", "missing-range"),
    *("non-finite-number", "probe-too-large", "reserved-name", "status-mismatch", "tried-after-all", "unknown-dim"),
    *("bad-dim--order", "bad-range--beyond-dtype", "bad-range--bool", "bad-range--complex", "bad-range--fraction"),
    *("bad-range--order", "bad-size--call", "bad-size--incomplete", "bad-size--parenthesis", "not-a-name--keyword"),
    "bad-plan",
    *("misplaced-absent--nothing-to-leave-out", "repeated-name--alias", "repeated-name--streams"),
    *("wrong-value--concat", "wrong-value--key-is-no-number"),
}


def readable() -> dict[str, Any]:
    found = {}
    for path in BAD_SPECS:
        try:
            found[path.stem] = data_of(path)
        except SpecError:
            continue  # not even YAML, which no schema is asked about
    return found


READABLE = readable()


@pytest.mark.parametrize("name", READABLE)
def test_the_schema_refuses_what_the_compiler_refuses(name: str) -> None:
    assert accepts(READABLE[name]) is bool({name, name.partition("--")[0]} & UNSEEN)


def tables() -> dict[str, dict[str, tuple[str, str]]]:
    """The tables of keys in the reference: heading to key to whether it is needed and what it means."""
    found: dict[str, dict[str, tuple[str, str]]] = {}
    heading = ""
    for line in REFERENCE.splitlines():
        if line.startswith("#") or line.endswith(":"):
            heading = line.strip("#: `")
        cells = [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line)[1:-1]]
        if not line.startswith("| `") or len(cells) < 2 or cells[0].startswith("`["):
            continue
        found.setdefault(heading, {})[cells[0].strip("`")] = (cells[1], cells[-1])
    return found


TABLES = {
    "Keys": "Spec",
    "blocks": "Blocks",
    "streams": "Streams",
    "teacache": "TeaCacheFacts",
    "A threshold of `thresholds": "Threshold",
    "A plan of `plans": "Plan",
    "The `tolerance": "Gain",
    "The probe": "Probe",
}


@pytest.mark.parametrize(("heading", "name"), TABLES.items())
def test_the_reference_has_the_keys_of_the_schema(heading: str, name: str) -> None:
    shown, form = tables()[heading], forms()[name]
    assert {key: meaning for key, (_, meaning) in shown.items()} == MEANINGS[name]
    if heading not in ("teacache", "The probe"):  # in these no key is needed, and the column is about something else
        assert {key for key, (needed, _) in shown.items() if needed == "yes"} == set(form.get("required", ()))
    else:
        assert "required" not in form


def test_the_reference_has_the_kinds_of_values() -> None:
    written = "\n".join(line for line in REFERENCE.splitlines() if line.startswith("| `{"))
    further = tables()["A tensor takes three more keys"]
    for kind, form in KINDS.items():
        keys = forms()[form.__name__]["properties"]
        row = next(line for line in written.splitlines() if line.startswith(f"| `{{{kind}: "))
        assert row.split(" | ")[1].startswith(MEANINGS[form.__name__][kind])
        shown = set(re.findall(r"(\w+): ", row.partition("` |")[0])) - {"key", "name"}
        assert shown <= keys.keys()
        assert keys.keys() - shown <= ({*further} if kind in ("tensor", "mask") else {"integer"})
    assert all(meaning.startswith(MEANINGS["Tensor"][key]) for key, (_, meaning) in further.items())
    dtypes = forms()["Tensor"]["properties"]["dtype"]["enum"]
    assert set(dtypes) <= set(re.findall(r"`(\w+)`", further["dtype"][1]))
    assert written.count("\n") + 1 == len(KINDS)


def test_the_checker_of_these_tests_knows_wrong_from_right() -> None:
    spec = data_of(ROOT / "specs" / "flux.yaml")
    assert accepts(spec)
    for broken in (
        {"head": 3}, {"heads": "norm_out"}, {"blocks": {"style": "both", "loops": ["a"]}}, {"teaspec": True},
        {"aliases": ["A", "A"]}, {"probe": {"dims": {"a": [1, 2, 3]}}}, {"probe": {"inputs": {"a": {"tensor": 3}}}},
    ):  # fmt: skip
        assert not accepts({**spec, **broken}), broken
    with pytest.raises(KeyError):
        list(errors(1, {"multipleOf": 2}, SCHEMA))


def test_the_command_prints_and_writes(tmp_path: Path) -> None:
    target = tmp_path / "schema.json"
    printed = CliRunner().invoke(app, ["schema"])
    assert (printed.exit_code, printed.stdout) == (0, schema_text())
    for word in ("written", "unchanged"):
        done = CliRunner().invoke(app, ["schema", "-o", str(target)])
        assert (done.exit_code, done.stderr) == (0, f"{target}: {word}\n")
    assert target.read_text(encoding="utf-8") == schema_text()
    assert CliRunner().invoke(app, ["schema", "-o", str(tmp_path)]).exit_code == 2


def test_the_line_for_editors_fits_the_folder(tmp_path: Path) -> None:
    installed = (ROOT / "specs" / "schema.json").as_uri()
    assert modeline(ROOT / "specs") == LINE.rstrip()
    assert modeline(tmp_path) == modeline(None) == f"# yaml-language-server: $schema={installed}"
    (tmp_path / "schema.json").write_text("{}")
    assert modeline(tmp_path) == LINE.rstrip()
