"""Every bad spec is refused with exactly the message that it carries.

A bad spec holds one mistake. Its file name is the diagnostic's code, with a detail behind `--` where several specs show
the same code; its trailing lines `# | ...` are the rendered message. `pytest tests/compiler --bless` rewrites them.

What lies in `tests/bad_specs/compile/` is well-formed; the mistake shows when it is compiled against its model.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from teaspec.compiler.passes.check import check
from teaspec.compiler.passes.read import read
from teaspec.compiler.report import SpecError
from teaspec.compiler.report.codes import CHECK_CODES, READ_CODES
from teaspec.compiler.report.model_codes import MODEL_CODES

FOLDER = Path(__file__).parent.parent / "bad_specs"
DOCS = Path(__file__).parents[2] / "docs" / "diagnostics.md"
MARK = "# |"
FILES = sorted(FOLDER.rglob("*.yaml"))


def split(content: str) -> tuple[str, str]:
    """Returns the spec and the message that it expects."""
    lines = content.splitlines(keepends=True)
    count = len(lines)
    while count and lines[count - 1].startswith(MARK):
        count -= 1
    message = "".join(line.removeprefix(MARK).removeprefix(" ") for line in lines[count:])
    return "".join(lines[:count]), message.removesuffix("\n")


def quote(message: str) -> str:
    return "".join(f"{MARK} {line}".rstrip() + "\n" for line in message.split("\n"))


def refuse(path: Path, spec_text: str, monkeypatch: pytest.MonkeyPatch) -> SpecError:
    with pytest.raises(SpecError) as caught:
        if path.parent.name == "compile":
            compile_from(path, monkeypatch)
        else:
            check(read(spec_text, path.name))
    return caught.value


def compile_from(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Imported here because only these specs need torch and a model.
    from teaspec.compiler import compile_spec, load_spec
    from teaspec.compiler.passes.import_model import import_model
    from teaspec.compiler.rules.config import check_config_keys

    monkeypatch.chdir(path.parent)  # so that messages show the file name alone
    spec = load_spec(Path(path.name))
    model = import_model(spec, allow=["tests"])
    module = model(**spec.probe.config)
    findings = check_config_keys(spec, dict(getattr(module, "config", {})))
    if mistakes := [finding.diagnose(spec.document) for finding in findings]:
        raise SpecError(mistakes)
    for one in (spec, *map(spec.for_variant, spec.teacache.variants)):
        compile_spec(one, module)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(FOLDER).with_suffix("").as_posix())
def test_bad_spec_is_refused_as_expected(
    path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec_text, expected = split(path.read_text(encoding="utf-8"))
    error = refuse(path, spec_text, monkeypatch)
    assert [diagnostic.code for diagnostic in error.diagnostics] == [path.stem.partition("--")[0]]
    if request.config.getoption("--bless", default=False):
        path.write_text(spec_text + quote(str(error)), encoding="utf-8")
    else:
        assert str(error) == expected


def test_examples_in_the_docs_are_messages_of_bad_specs() -> None:
    blocks = re.findall(
        r"^```text\n(error\[[a-z-]+\].*?)\n```$", DOCS.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
    )
    shown = [block for block in blocks if not block.startswith("error[code]")]
    messages = {split(path.read_text(encoding="utf-8"))[1] for path in FILES}
    assert shown != []
    assert [block for block in shown if block not in messages] == []


def test_there_are_enough_of_them() -> None:
    assert len(FILES) >= 80


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(FOLDER).with_suffix("").as_posix())
def test_a_message_points_first_at_the_spec(path: Path) -> None:
    spec_text, message = split(path.read_text(encoding="utf-8"))
    first = re.match(r"error\[[a-z-]+\]: .+\n *--> ([^\n]+):(\d+):(\d+)\n", message)
    assert first is not None and first[1] == path.name
    # of a long line a part is shown, and what cannot be seen is shown as something else
    quoted = re.search(rf"^ *{first[2]} \| ?(.*)$", message, re.MULTILINE)
    lines = re.split(r"\r\n|\n|\r", spec_text)
    shown, line = (re.sub(r"[^!-~]", "", part) for part in (quoted[1] if quoted else "", lines[int(first[2]) - 1]))
    assert shown.strip(".") in line and (shown or not line)


def shown_in(folder: Path) -> set[str]:
    return {path.stem.partition("--")[0] for path in FILES if path.parent == folder}


def test_every_code_has_a_bad_spec() -> None:
    # These two need more text than is good to look at; test_read.py and test_report.py make it.
    generated = {"spec-too-large", "too-many-mistakes"}
    assert shown_in(FOLDER) == (READ_CODES.keys() | CHECK_CODES.keys()) - generated


def test_every_code_about_the_model_has_a_bad_spec() -> None:
    # The running Python knows no syntax that is unknown; test_syntax.py makes some.
    assert shown_in(FOLDER / "compile") == MODEL_CODES.keys() - {"unknown-syntax"}


# Nothing of the model can be shown where there is no class or no source, or where a name is nowhere in it.
WITHOUT_SOURCE = {
    *("foreign-object", "model-mismatch", "no-source", "package-not-allowed"),
    *("unknown-config-key", "unknown-forward-method", "unknown-model"),
}
NOWHERE = {"norm-outside-first-loop--refiner", "unknown-norm-path--index", "unknown-norm-path--list"}


@pytest.mark.parametrize("path", [path for path in FILES if path.parent.name == "compile"], ids=lambda path: path.stem)
def test_a_message_about_the_model_shows_its_source(path: Path) -> None:
    _, message = split(path.read_text(encoding="utf-8"))
    shown = re.search(r"^ *::: (diffusers|tests)/[\w/]+\.py:\d+$", message, re.MULTILINE) is not None
    assert shown != (path.stem.partition("--")[0] in WITHOUT_SOURCE or path.stem in NOWHERE)
