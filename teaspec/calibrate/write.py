"""Puts a fit into a spec, and leaves the rest of the file as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from io import StringIO
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq

from teaspec.calibrate.fit import Fit
from teaspec.calibrate.thresholds import Threshold
from teaspec.runtime.calibrations.gains import Gain
from teaspec.runtime.calibrations.plans import Plan

_KEY = "teacache"
_WIDTH = 10_000
"""Specs hold long lines on purpose; none is broken."""


@dataclass(frozen=True)
class Origin:
    """Where a fit comes from.

    Attributes:
        source: What was run.
        on: The day.
    """

    source: str
    on: date


def write_fit(
    path: Path,
    fit: Fit,
    origin: Origin,
    thresholds: Sequence[Threshold] = (),
    variant: str | None = None,
    plans: Sequence[Plan] = (),
    gain: Gain | None = None,
) -> None:
    """Writes coefficients and their source into a spec's `teacache`, and what else was found.

    Args:
        path: The spec.
        fit: What was fitted.
        origin: Where it comes from.
        thresholds: What was measured with it; it replaces thresholds that were published for other coefficients.
        variant: The variant that they are for, which is added if it is not there; None writes the spec's own.
        plans: Which steps budgets compute; each replaces one for as many steps of as many, beside the same forecast.
        gain: What a tolerance comes to; None leaves the one that is there.

    Raises:
        OSError: If the file cannot be read or written.
    """
    text = path.read_text(encoding="utf-8")
    path.write_text(with_fit(text, fit, origin, thresholds, variant, plans, gain), encoding="utf-8")


def with_fit(
    text: str,
    fit: Fit,
    origin: Origin,
    thresholds: Sequence[Threshold] = (),
    variant: str | None = None,
    plans: Sequence[Plan] = (),
    gain: Gain | None = None,
) -> str:
    """Returns the text of a spec with a fit in it; outside of `teacache` not a character changes. See `write_fit`."""
    yaml = _yaml()
    document = yaml.load(text)
    if _KEY not in document:
        keys = list(document)
        document.insert(keys.index("probe") if "probe" in keys else len(keys), _KEY, CommentedMap())
    facts = _child(document, _KEY)
    if variant is not None:
        facts = _child(_child(facts, "variants"), variant)
    facts.pop("status", None)  # it was about other coefficients; a spec that gives some and no status has its own
    facts["coefficients"] = _flow([float(f"{value:.9g}") for value in fit.coefficients])
    facts["source"] = _source(fit, origin)
    if thresholds:
        facts["thresholds"] = _flow([_flow(_setting(one)) for one in thresholds])
    else:
        facts.pop("thresholds", None)
    if plans:
        new = [_plan(one) for one in plans]
        taken = {_about(one) for one in new}
        kept = [one for one in facts.get("plans") or () if _about(one) not in taken]
        facts["plans"] = CommentedSeq([*kept, *map(_flow, new)])
    if gain is not None:
        facts["tolerance"] = _flow(_gain(gain))
    out = StringIO()
    yaml.dump(document, out)
    return _spliced(text, out.getvalue())


def _spliced(text: str, dumped: str) -> str:
    """The text with its `teacache` replaced by that of a dump of the whole document."""
    before, after = text.splitlines(keepends=True), dumped.splitlines(keepends=True)
    start, end = _extent(after, dumped)
    new = "".join(after[start:end])
    old_start, old_end = _extent(before, text)
    if old_end == len(before) and before and not before[-1].endswith("\n"):
        before[-1] += "\n"
    return "".join(before[:old_start]) + new + "".join(before[old_end:])


def _extent(lines: list[str], text: str) -> tuple[int, int]:
    """The lines of `teacache`: from its key to the next one. Without it, the place where it belongs."""
    document = _yaml().load(text)
    starts = {key: document.lc.key(key)[0] for key in document}
    following = [line for line in starts.values() if line > starts.get(_KEY, -1)]
    if _KEY not in starts:
        place = starts.get("probe", len(lines))
        return place, place
    return starts[_KEY], min(following, default=len(lines))


def _yaml() -> YAML:
    yaml = YAML()
    yaml.preserve_quotes = True
    yaml.width = _WIDTH
    yaml.indent(mapping=2, sequence=4, offset=2)
    yaml.brace_single_entry_mapping_in_flow_sequence = True
    yaml.representer.add_representer(type(None), lambda one, _: one.represent_scalar("tag:yaml.org,2002:null", "null"))
    return yaml


def _source(fit: Fit, origin: Origin) -> str:
    """What was run, when, and how well the polynomial fits."""
    crossed = "" if fit.cross_validated_r2 is None else f", cross-validated {fit.cross_validated_r2:.4f}"
    return f"{origin.source}, {origin.on.isoformat()}; {fit.pairs} pairs, R2 {fit.r2:.4f}{crossed}"


def _setting(threshold: Threshold) -> dict[str, Any]:
    """A threshold as a spec has it. It is as many times faster as it has steps for each that runs the blocks."""
    reused = threshold.reused if threshold.measured is None else threshold.measured
    speedup = {} if reused >= 1 else {"speedup": float(f"{1 / (1 - reused):.3g}")}
    return {"thresh": threshold.value, **speedup, "note": _note(threshold)}


def _note(threshold: Threshold) -> str:
    if threshold.measured is None or threshold.error is None:
        return f"reuses {threshold.reused:.0%} of the steps, as replayed"
    return f"reuses {threshold.measured:.0%} of the steps, relative L1 {threshold.error:.3g}"


def _plan(plan: Plan) -> dict[str, Any]:
    """A plan as a spec has it; what is as it is left out is."""
    written: dict[str, Any] = {"steps": plan.steps, "computed": _flow(list(plan.computed))}
    written |= _added(plan)
    errors = {"error": plan.error, "even": plan.even}
    written |= {name: float(f"{value:.3g}") for name, value in errors.items() if value is not None}
    return {**written, "source": plan.source} if plan.source else written


def _gain(gain: Gain) -> dict[str, Any]:
    written = {"gain": gain.gain, **_added(gain)}
    return {**written, "source": gain.source} if gain.source else written


def _added(found: Plan | Gain) -> dict[str, Any]:
    """What reused steps added; nothing is written of the last residual, which a spec means where it says nothing."""
    return {} if found.forecast == "last" else {"forecast": found.forecast, "limit": found.limit}


def _about(written: Mapping[str, Any]) -> tuple[Any, ...]:
    """What two plans of a spec must not share."""
    forecast = written.get("forecast", "last")
    limit = None if forecast == "last" else float(written.get("limit", 1.0))
    return written["steps"], len(written["computed"]), forecast, limit


def _flow(value: Any) -> Any:
    """On one line, in braces or brackets."""
    made = CommentedMap(value) if isinstance(value, dict) else CommentedSeq(value)
    made.fa.set_flow_style()
    return made


def _child(parent: Any, key: str) -> Any:
    if parent.get(key) is None:
        parent[key] = CommentedMap()
    return parent[key]
