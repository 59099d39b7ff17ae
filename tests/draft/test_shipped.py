"""How many of the shipped specs `teaspec init` drafts from the class alone. docs/drafting.md shows both numbers."""

import re
from pathlib import Path

import pytest

from teaspec.compiler import SpecError, load_spec
from teaspec.draft.construct import ConstructionError, build_on_meta, guess_config
from teaspec.draft.draft import draft_spec, import_class
from teaspec.draft.landmarks import NoLandmarksError, find_landmarks
from teaspec.proof.build import ProbeError
from teaspec.proof.determinism import FreshInterpreter
from teaspec.proof.run import check_spec

ROOT = Path(__file__).parents[2]
SPECS = sorted((ROOT / "specs").glob("*.yaml"))
DOCS = " ".join((ROOT / "docs" / "drafting.md").read_text(encoding="utf-8").split())


def documented(what):
    found = re.search(rf"(\d+) of the (\d+) {what}", DOCS)
    assert found, f"docs/drafting.md says nothing about {what}"
    return int(found[1]), int(found[2])


def landmarks(spec):
    """Everything that a spec says of the forward, streams as far as the style has them."""
    encoder = spec.streams.encoder if spec.blocks.style == "dual" else None
    return spec.forward, spec.embed, spec.norm, spec.blocks, spec.head, spec.streams.hidden, encoder


def drafts_the_same(spec):
    model_class = import_class(spec.model)
    try:
        found = find_landmarks(spec.model, build_on_meta(model_class, guess_config(model_class)))
    except (ConstructionError, NoLandmarksError, SpecError):
        return False
    text = "".join(f"{key}: {value}\n" for key, value in found.guess.lines(spec.model).items())
    return found.error is None and landmarks(load_spec(text)) == landmarks(spec)


def passes_the_check(spec, interpreter):
    try:
        draft = draft_spec(spec.model)
        if draft.probe.error or draft.landmarks.error:
            return False
        report = check_spec(load_spec(draft.text), examples=10, interpreter=interpreter)
    except (ConstructionError, NoLandmarksError, SpecError, ProbeError):
        return False
    return all(result.passed for result in report.properties)


def test_landmarks_of_nine_in_ten_shipped_specs_are_drafted():
    different = [path.stem for path in SPECS if not drafts_the_same(load_spec(path))]
    count = len(SPECS) - len(different)
    assert count >= 0.9 * len(SPECS), different
    assert documented("shipped specs") == (count, len(SPECS)), different


@pytest.mark.thorough
def test_six_in_ten_drafts_pass_the_check_untouched():
    with FreshInterpreter(0) as interpreter:
        failing = [path.stem for path in SPECS if not passes_the_check(load_spec(path), interpreter)]
    count = len(SPECS) - len(failing)
    assert count >= 0.6 * len(SPECS), failing
    assert documented("drafts") == (count, len(SPECS)), failing
