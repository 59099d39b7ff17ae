"""Stats as plain data, for JSON."""

from __future__ import annotations

import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from teaspec.runtime.report.data import BranchStats, Totals, TransformerStats
    from teaspec.runtime.rules.record import Decision


def as_dict(stats: Totals) -> dict[str, Any]:
    """Returns what was found as dicts, lists, numbers, texts and None."""
    return {
        "computed": stats.computed,
        "reused": stats.reused,
        "bytes_held": stats.bytes_held,
        "saved_seconds": stats.saved_seconds,
        "transformers": [_transformer(one) for one in stats.transformers],
    }


def _transformer(one: TransformerStats) -> dict[str, Any]:
    return {
        "name": one.name,
        "variant": one.variant,
        "rule": one.rule,
        "bound": one.bound,
        "settings": {key: _plain(value) for key, value in one.settings.items()},
        "bytes_held": one.bytes_held,
        "most_bytes": one.most_bytes,
        "sums": asdict(one.sums),
        "sessions": [{"key": _plain(key), "bytes_held": held} for key, held in one.sessions.items()],
        "branches": [_branch(branch) for branch in one.branches],
    }


def _branch(one: BranchStats) -> dict[str, Any]:
    return {
        "branch": one.branch,
        "computed": one.computed,
        "reused": one.reused,
        "computed_seconds": one.computed_seconds,
        "reused_seconds": one.reused_seconds,
        "decisions": [_decision(decision) for decision in one.decisions],
    }


def _decision(one: Decision) -> dict[str, Any]:
    numbers = {name: _plain(value) for name, value in one.numbers.items()}
    return {"step": one.step, "decision": one.decision, "reason": one.reason, "numbers": numbers}


def _plain(value: Any) -> Any:
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(value)  # JSON has no infinity
    if value is None or isinstance(value, (bool, int, str)):
        return value
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else str(value)
