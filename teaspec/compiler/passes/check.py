"""check: document -> spec. Says everything that is wrong with a spec as far as that shows without the model."""

from __future__ import annotations

from collections.abc import Iterator

from pydantic import ValidationError

from teaspec.compiler.forms.document import Document
from teaspec.compiler.forms.probe import Probe
from teaspec.compiler.forms.spec import Blocks, Spec, Streams, TeaCacheFacts
from teaspec.compiler.report import SpecError
from teaspec.compiler.rules.facts import (
    check_blocks,
    check_finite,
    check_marked_twice,
    check_repetitions,
    check_streams,
    check_teacache,
)
from teaspec.compiler.rules.finding import Finding
from teaspec.compiler.rules.probe import check_probe
from teaspec.compiler.rules.structure import find_structural_mistakes


def check(document: Document) -> Spec:
    """Checks a document and gives it its form.

    Args:
        document: What was read.

    Returns:
        The spec, which knows its document.

    Raises:
        SpecError: With one diagnostic per mistake, sorted by position.
    """
    structural: list[Finding] = []
    spec: Spec | None = None
    try:
        spec = Spec.model_validate(document.data, context={"document": document})
    except ValidationError as error:
        structural = list(find_structural_mistakes(error, document))
    malformed = {finding.path[0] for finding in structural if finding.path}
    findings = [
        *(finding for finding in structural if finding.code != "non-finite-number"),  # also found below
        *check_finite(document.data),
        *check_repetitions(document.data),
        *check_marked_twice(document.data),
        *_check_sections(document, set(document.data) - malformed),
    ]
    if findings or spec is None:
        raise SpecError(finding.diagnose(document) for finding in findings)
    return spec


def _check_sections(document: Document, well_formed: set[str]) -> Iterator[Finding]:
    """Applies the rules to every section that is well-formed by itself, whatever is wrong with the others."""
    data = document.data
    if "blocks" in well_formed:
        yield from check_blocks(Blocks.model_validate(data["blocks"]))
    if "streams" in well_formed:
        yield from check_streams(Streams.model_validate(data["streams"]))
    if "teacache" in well_formed:
        yield from check_teacache(TeaCacheFacts.model_validate(data["teacache"]))
    if "probe" in well_formed:
        yield from check_probe(Probe.model_validate(data["probe"]), document)
