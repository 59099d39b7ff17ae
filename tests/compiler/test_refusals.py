"""What cannot be cut is refused, once, with its code, the spec's line and the model's line."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

from teaspec.compiler.pipeline import compile_spec, load_spec
from teaspec.compiler.report import SpecError
from tests.toys.shelf import REFUSED
from tests.toys.toy import Refusal


def _refused(refusal: Refusal) -> SpecError:
    torch.manual_seed(1)
    with pytest.raises(SpecError) as caught:
        compile_spec(load_spec(refusal.spec), refusal.build())
    return caught.value


def _marked_line(refusal: Refusal) -> tuple[str, int, str]:
    file = Path(sys.modules[refusal.build.__module__].__file__ or "")
    lines = file.read_text(encoding="utf-8").splitlines()
    marked = [number for number, line in enumerate(lines, 1) if line.endswith(f"# {refusal.marker}")]
    assert len(marked) == 1
    return file.name, marked[0], lines[marked[0] - 1]


every_refusal = pytest.mark.parametrize("refusal", REFUSED, ids=[f"{n}-{item.name}" for n, item in enumerate(REFUSED)])


@every_refusal
def test_refusals_have_their_code(refusal: Refusal) -> None:
    error = _refused(refusal)
    assert error.diagnostics[0].code == refusal.code, str(error)


@every_refusal
def test_one_mistake_gives_one_message(refusal: Refusal) -> None:
    error = _refused(refusal)
    assert len(error.diagnostics) == 1, str(error)


@every_refusal
def test_refusals_point_at_the_spec_and_at_the_model(refusal: Refusal) -> None:
    error = _refused(refusal)
    labels = error.diagnostics[0].labels
    assert labels[0].span.file == "<spec>"
    assert labels[0].line_text == refusal.spec.splitlines()[labels[0].span.line - 1]
    if refusal.marker is not None:
        places = [(Path(label.span.file).name, label.span.line, label.line_text) for label in labels[1:]]
        assert _marked_line(refusal) in places, str(error)
