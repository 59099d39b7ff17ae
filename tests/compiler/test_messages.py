"""What messages and labels have in common: nothing empty, nothing said twice, no name that stands nowhere."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch

from teaspec.compiler import SpecError, load_spec
from teaspec.compiler.forms.names import find_fault
from teaspec.compiler.report import CODES
from teaspec.compiler.yaml12.problems import Complaint
from teaspec.proof.build import ProbeError, build_module
from tests.compiler.test_bad_specs import FILES, FOLDER, split
from tests.proof.small import SPEC, SmallTransformer

WRITTEN = {path.relative_to(FOLDER).as_posix(): split(path.read_text(encoding="utf-8"))[1] for path in FILES}
NAMES = re.compile(r"`([^`]*)`")


def lines_of(message: str) -> tuple[str, list[str], list[str]]:
    """The sentence, the remarks at the places, and the help."""
    sentence = message.split("\n", 1)[0].split(": ", 1)[1]
    remarks = re.findall(r"^ +\| +(?:\^+|-+)(?: (.*))?$", message, re.MULTILINE)
    return sentence, remarks, re.findall(r"^ *= help: ?(.*)$", message, re.MULTILINE)


@pytest.mark.parametrize("file", WRITTEN)
def test_no_message_is_empty_or_says_a_thing_twice(file: str) -> None:
    """Mutation: `_style` lists what is bound without a word for nothing; or a label without a remark."""
    sentence, remarks, help_lines = lines_of(WRITTEN[file])
    assert sentence and remarks and all(remarks) and all(help_lines)
    assert "``" not in WRITTEN[file].replace("```", "")
    for line in (sentence, *remarks, *help_lines):
        assert not re.search(r"\b(bind|binds|expected|mean|or|and|with|than|found)\s*$", line), line
    assert len(help_lines) == len(set(help_lines))
    assert sentence not in help_lines


@pytest.mark.parametrize("file", WRITTEN)
def test_no_help_offers_what_was_written(file: str) -> None:
    """Mutation: `nearest` may return the name itself; then `tok` is offered for `tok`."""
    spec_text = split((FOLDER / file).read_text(encoding="utf-8"))[0]
    sentence, _, help_lines = lines_of(WRITTEN[file])
    meant = [name for line in help_lines if line.startswith("did you mean ") for name in NAMES.findall(line)]
    written = [] if sentence.startswith("expected") else NAMES.findall(sentence)
    assert not set(meant) & {name for name in written if name in spec_text}


@pytest.mark.parametrize("file", WRITTEN)
def test_no_name_is_one_that_the_compiler_made_up(file: str) -> None:
    """Mutation: `_as_written` returns the names as they are; then a helper's `c` is shown as `c_1`."""
    sentence, remarks, help_lines = lines_of(WRITTEN[file])
    shown = "\n".join(re.findall(r"^ *\d+ \|(.*)$", WRITTEN[file], re.MULTILINE))
    for quoted in NAMES.findall("\n".join((sentence, *remarks, *help_lines))):
        for name in re.findall(r"(?<![\w.])[a-zA-Z_]\w*_\d+\b|\b_+teaspec\w*", quoted):
            assert re.search(rf"\b{name}\b", shown), name


def test_of_every_code_a_message_is_looked_at() -> None:
    """But for three that take more text than is good to look at, or a Python that is not there yet."""
    rare = {"spec-too-large", "too-many-mistakes", "unknown-syntax"}
    assert {Path(file).stem.partition("--")[0] for file in WRITTEN} == CODES.keys() - rare


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("norm_\u043eut", "is not a Python name: it holds U+043E, CYRILLIC SMALL LETTER O"),
        ("norm\u200b_out", "is not a Python name: it holds U+200B, ZERO WIDTH SPACE"),
        ("norm out", "is not a Python name"),
    ],
)
def test_an_odd_letter_is_named(name: str, said: str) -> None:
    """Mutation: `find_fault` says that it is no name, and no more."""
    assert find_fault(name) == said


@pytest.mark.parametrize(
    ("found", "said"),
    [
        ("", "a value is missing where the line ends"),
        ("@", "no value can begin with `@`"),
        ("`", "no value can begin with a backquote"),
    ],
)
def test_where_nothing_stands_that_is_said(found: str, said: str) -> None:
    """Mutation: `about` puts in what it is given."""
    assert Complaint("yaml-syntax", "no value can begin with `{found}`").about(found) == said


@pytest.mark.parametrize(
    "text", ["head: `norm_out`", "head: [", "head: {", "head: ,", "head: @x", "? :", "head: !", "head: - a"]
)
def test_no_broken_text_has_an_empty_message(text: str) -> None:
    with pytest.raises(SpecError) as caught:
        load_spec(SPEC.replace("head: norm_out", text))
    for one in caught.value.diagnostics:
        assert one.message and "``" not in one.message and all(label.text for label in one.labels)


def test_a_config_key_that_the_constructor_does_not_take() -> None:
    """Mutation: `build_module` does not call `_require_arguments`; then Python's TypeError stands there."""
    with pytest.raises(ProbeError, match=r"probe's config: it takes no `widht`; did you mean `width`\?"):
        build_module(SmallTransformer, {"widht": 8}, torch.float32, seed=0)


def test_an_input_that_the_forward_does_not_take() -> None:
    """Mutation: `_require_parameters` looks at `untried` alone; then calls fail with a TypeError."""
    from teaspec.proof.run import check_spec

    wrong = SPEC.replace("    timestep:", "    timestepp?: 1\n    timestep:", 1)
    assert wrong != SPEC
    with pytest.raises(
        ProbeError, match=r"the probe passes `timestepp`, which the forward does not take; did you mean"
    ):
        check_spec(load_spec(wrong), examples=1, allow=["tests"])
