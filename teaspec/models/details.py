"""All that a spec says about one class, and what its cut costs: for a program, and for a reader."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from teaspec.catalog import SpecExtractor
from teaspec.models.facts import ModelFacts
from teaspec.runtime.calibrations.calibration import BASE, Calibration
from teaspec.runtime.calibrations.gains import Gain
from teaspec.runtime.calibrations.plans import Plan
from teaspec.runtime.calibrations.thresholds import SPEEDUPS, Threshold, pick
from teaspec.runtime.calibrations.variants import wording

_ELSEWHERE = {"teaspec", "teacache", "probe", "aliases"}
"""Keys of a spec that are no landmarks."""

_WIDTH = 15


def details_of(facts: ModelFacts, extractor: SpecExtractor) -> dict[str, Any]:
    """Everything about a class, as plain data.

    Args:
        facts: What is shipped about it, or what its spec alone tells.
        extractor: Its spec's.
    """
    spec = extractor.spec
    notes = {BASE: spec.teacache.note, **{name: one.note for name, one in spec.teacache.variants.items()}}
    sets = extractor.defaults.named()
    return {
        "class": facts.name,
        "aliases": list(facts.aliases),
        "spec": str(extractor.path),
        "landmarks": {key: _plain(value) for key, value in spec.document.data.items() if key not in _ELSEWHERE},
        "signal": facts.signal,
        "residuals": list(facts.residuals),
        "carried": list(facts.carried),
        "arguments": list(facts.arguments),
        "still": facts.still,
        "untried": dict(facts.untried),
        "reused_step": None if facts.cost is None else facts.cost.ratio,
        "sets": {name: {**_set(one, facts.signal), "note": notes[name]} for name, one in sets.items()},
        "use": _use(sets),
    }


def as_text(details: Mapping[str, Any], facts: ModelFacts) -> str:
    """The same for a reader.

    Args:
        details: What `details_of` returned.
        facts: What it was made of.
    """
    return "\n".join([*_head(details, facts), "", *_sets(details), _line("use", details["use"])])


def _set(one: Calibration, signal: str) -> dict[str, Any]:
    picked = {preset: pick(one.thresholds, preset) for preset in SPEEDUPS}
    return {
        "status": one.status,
        "recognised_by": {key: list(values) for key, values in one.match.items()},
        "coefficients": list(one.coefficients),
        "accumulate": one.accumulate,
        "signal": one.signal or signal,
        "warmup_steps": one.warmup_steps,
        "source": one.source,
        "thresholds": [{"thresh": t.thresh, "speedup": t.speedup, "note": t.note} for t in one.thresholds],
        "tolerance": None if one.tolerance is None else vars(one.tolerance),
        "plans": [{**vars(plan), "computed": list(plan.computed)} for plan in one.plans],
        "presets": {preset: None if found is None else found.thresh for preset, found in picked.items()},
    }


def _use(sets: Mapping[str, Calibration]) -> str:
    if any(one.thresholds for one in sets.values()):
        return (
            "teaspec.enable(pipe)  # a published threshold; or preset='quality', 'fast', rel_l1_thresh=..., variant=..."
        )
    return "teaspec.enable(pipe, budget=0.5)  # no threshold is published; what it does is in teaspec.stats(pipe)"


def _head(details: Mapping[str, Any], facts: ModelFacts) -> Iterator[str]:
    yield " ".join([facts.name, *(f"({name})" for name in facts.aliases)])
    yield _line("spec", details["spec"])
    for key, value in details["landmarks"].items():
        yield _line(key, _inline(value))
    if "signal" not in details["landmarks"]:
        yield _line("signal", facts.signal)
    if facts.residuals or facts.carried:
        cached = [
            *(f"the residual of {name}" for name in facts.residuals),
            *(f"{name}, carried" for name in facts.carried),
        ]
        yield _line("cached", "; ".join(cached))
    if facts.still:
        yield _line("still", facts.still)
    yield _line("reused step", facts.reused_step + (" of a full step's operations" if facts.cost else ""))
    for name, reason in facts.untried.items():
        yield _line("not proven", f"{name}: {reason}")


def _sets(details: Mapping[str, Any]) -> Iterator[str]:
    for name, one in details["sets"].items():
        yield f"{name}: {one['status']}{'' if name == BASE else f', variant={name!r}'}"
        if one["recognised_by"]:
            yield _line("  recognised", wording(one["recognised_by"]))
        yield _line("  coefficients", f"{_inline(one['coefficients'])}, {one['accumulate']}")
        if one["signal"] != details["signal"]:
            yield _line("  decides", one["signal"])
        if one["warmup_steps"]:
            yield _line("  warm-up", f"{one['warmup_steps']} steps")
        for key in ("source", "note"):
            if one[key]:
                yield _line(f"  {key}", one[key])
        for threshold in one["thresholds"]:
            yield _line("  threshold", _threshold(Threshold(**threshold)))
        if one["thresholds"]:
            yield _line("  presets", ", ".join(f"{preset} {value:g}" for preset, value in one["presets"].items()))
        if one["tolerance"] is not None:
            yield _line("  tolerance", _gain(Gain(**one["tolerance"])))
        for plan in one["plans"]:
            yield _line("  plan", _plan(Plan(**{**plan, "computed": tuple(plan["computed"])})))
        yield ""


def _gain(one: Gain) -> str:
    """What a tolerance comes to, in one line."""
    return f"gain {one.gain:g}{_beside(one, ', ')}{f' ({one.source})' if one.source else ''}"


def _plan(one: Plan) -> str:
    """A plan in one line: the call that takes it, which steps it computes, and what it was worth."""
    found = f"budget={len(one.computed)} of {one.steps} steps: {', '.join(map(str, one.computed))}"
    found += _beside(one, "; ")
    if one.error is not None:
        found += f"; relative error {one.error:.3g}"
        found += "" if one.even is None else f", evenly {one.even:.3g}"
    return found + (f" ({one.source})" if one.source else "")


def _beside(one: Plan | Gain, separator: str) -> str:
    """The forecast that it goes with, where that is not the last residual."""
    return "" if one.forecast == "last" else f"{separator}with forecast={one.forecast!r}, residual_limit={one.limit:g}"


def _threshold(one: Threshold) -> str:
    speedup = "" if one.speedup is None else f", {one.speedup:g} times faster"
    return f"{one.thresh:g}{speedup}{f' ({one.note})' if one.note else ''}"


def _line(key: str, value: str) -> str:
    return f"{key:{_WIDTH}} {value}"


def _inline(value: Any) -> str:
    """A value of a spec in one line, as YAML would have it."""
    if isinstance(value, Mapping):
        return ", ".join(f"{key}: {_inline(item)}" for key, item in value.items())
    if isinstance(value, list):
        return f"[{', '.join(map(_inline, value))}]"
    return str(value)


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value
