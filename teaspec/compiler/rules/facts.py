"""What must hold between the keys of `teacache`, and between the names of a spec."""

from __future__ import annotations

import math
from collections.abc import Iterator
from fnmatch import fnmatchcase
from itertools import combinations
from typing import Any

from teaspec.compiler.forms.document import Path
from teaspec.compiler.forms.match import Match, Plain
from teaspec.compiler.forms.paths import last_of
from teaspec.compiler.forms.spec import BASE, Blocks, CheckpointFacts, Streams, TeaCacheFacts
from teaspec.compiler.rules.finding import Finding


def check_blocks(blocks: Blocks) -> Iterator[Finding]:
    """Finds what is wrong with the third landmark.

    Args:
        blocks: The form.
    """
    if not blocks.loops:
        yield Finding(("blocks", "loops"), "empty-list", "expected at least one list of blocks, found an empty list")


def check_streams(streams: Streams) -> Iterator[Finding]:
    """Finds streams that cannot be told apart.

    Args:
        streams: The form.
    """
    if streams.hidden == streams.encoder:
        message = f"both streams are called `{streams.hidden}`"
        yield Finding(("streams",), "repeated-name", message, "these two")


def check_teacache(teacache: TeaCacheFacts) -> Iterator[Finding]:
    """Finds contradictions between coefficients, status and source, of the model and of each variant, and between them.

    Args:
        teacache: The form.
    """
    yield from _check_calibration(teacache, ("teacache",))
    for name, variant in teacache.variants.items():
        yield from _check_calibration(variant, ("teacache", "variants", name))
        if name == BASE:
            message = f"`{name}` is what the spec's own calibration is called"
            yield Finding(("teacache", "variants", name), "reserved-name", message, at_key=True)
    yield from _check_matches(teacache)


def _check_matches(teacache: TeaCacheFacts) -> Iterator[Finding]:
    """Finds pairs of calibrations of which neither is the more specific where both match."""
    sets: list[tuple[str, Path, Match]] = [(BASE, ("teacache",), teacache.match)]
    sets += [(name, ("teacache", "variants", name), facts.match) for name, facts in teacache.variants.items()]
    for (name, path, match), (other, other_path, other_match) in combinations(sets, 2):
        if match and len(match) == len(other_match) and _can_agree(match, other_match):
            message = f"`{name}` and `{other}` can both match one checkpoint, and neither asks for more keys"
            also = ((*path, "match"), f"this one is `{name}`'s")
            help_line = "add a key to the more special one, or one that tells them apart to both"
            where, here = (*other_path, "match"), f"this one is `{other}`'s"
            yield Finding(where, "ambiguous-match", message, here, (help_line,), at_key=True, also=also)


def _can_agree(match: Match, other: Match) -> bool:
    """Whether one config can satisfy both. Two different patterns are taken to exclude each other."""
    shared = match.keys() & other.keys()
    return all(any(_is_met(a, b) or _is_met(b, a) for a in match[key] for b in other[key]) for key in shared)


def _is_met(wanted: Plain, found: Plain) -> bool:
    if isinstance(wanted, str) and isinstance(found, str):
        return fnmatchcase(found.lower(), wanted.lower())
    return wanted == found and isinstance(wanted, bool) == isinstance(found, bool)


def _check_calibration(facts: CheckpointFacts, path: Path) -> Iterator[Finding]:
    has_coefficients = "coefficients" in facts.model_fields_set
    if has_coefficients and facts.status == "none":
        message = "coefficients are given, but the status says that there are none"
        help_line = "write `published`, or `borrowed` where they were made for another model"
        yield Finding((*path, "status"), "status-mismatch", message, help=(help_line,))
    elif not has_coefficients and facts.status != "none":
        message = f"the status is `{facts.status}`, but no coefficients are given"
        help_line = "give `coefficients`, or leave the status out"
        yield Finding((*path, "status"), "status-mismatch", message, help=(help_line,))
    elif has_coefficients and facts.source is None:
        where, message = (*path, "coefficients"), "the coefficients are given without their source"
        yield Finding(where, "missing-source", message, "from where?", ("add the key `source`",), at_key=True)


def check_repetitions(data: dict[str, Any]) -> Iterator[Finding]:
    """Finds names that are listed twice.

    Args:
        data: The document's data, which need not be well-formed otherwise.
    """
    blocks = data.get("blocks")
    lists: dict[Path, object] = {
        ("bypass",): data.get("bypass"),
        ("varying",): data.get("varying"),
        ("aliases",): data.get("aliases"),
    }
    for key in ("loops", "carried"):
        lists["blocks", key] = blocks.get(key) if isinstance(blocks, dict) else None
    for path, names in lists.items():
        seen = {_class_name(data)} if path == ("aliases",) else set()
        for index, name in enumerate(names if isinstance(names, list) else []):
            if isinstance(name, str) and name in seen:
                yield Finding((*path, index), "repeated-name", f"`{name}` is given twice", "again here")
            elif isinstance(name, str):
                seen.add(name)


def check_marked_twice(data: dict[str, Any]) -> Iterator[Finding]:
    """Finds inputs of the probe that are given with and without `?`.

    Args:
        data: The document's data, which need not be well-formed otherwise.
    """
    probe = data.get("probe")
    cases = probe.get("cases") if isinstance(probe, dict) else None
    places: list[tuple[Path, object]] = [(("probe",), probe)]
    places += [(("probe", "cases", index), case) for index, case in enumerate(cases if isinstance(cases, list) else [])]
    for path, holder in places:
        inputs = holder.get("inputs") if isinstance(holder, dict) else None
        names = list(inputs) if isinstance(inputs, dict) else []
        for name in names:
            if f"{name}?" in names:
                first, second = sorted((name, f"{name}?"), key=names.index)
                message = f"the input `{name}` is given twice, with and without `?`"
                also = ((*path, "inputs", first), "first given here")
                where = (*path, "inputs", second)
                yield Finding(where, "duplicate-input", message, "given again here", at_key=True, also=also)


def _class_name(data: dict[str, Any]) -> str:
    return last_of(str(data.get("model", "")).replace(":", "."))


def check_finite(value: object, path: Path = ()) -> Iterator[Finding]:
    """Finds numbers that are infinite or not a number, wherever they stand.

    Args:
        value: A part of the document's data.
        path: Where the value stands in the document.
    """
    if isinstance(value, dict):
        for key, item in value.items():
            yield from check_finite(item, (*path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from check_finite(item, (*path, index))
    elif isinstance(value, float) and not math.isfinite(value):
        yield Finding(path, "non-finite-number", "expected a finite number")
