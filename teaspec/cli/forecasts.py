"""What reused steps add, as two options name it: kinds of forecasts, and how far they are followed."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast, get_args

import typer

if TYPE_CHECKING:
    from teaspec.calibrate.choosing import Added


def forecasts_of(forecast: str, limit: str) -> list[Added]:
    """Returns each of the forecasts with each of the limits; the last residual as it stands is followed nowhere.

    Args:
        forecast: What `--forecast` has.
        limit: What `--limit` has.

    Raises:
        typer.BadParameter: If one of them is unknown, or no number to use.
    """
    from teaspec.calibrate.choosing import Added
    from teaspec.runtime.rules.forecast import Kind

    known = get_args(Kind)
    kinds = list(dict.fromkeys(one.strip() for one in forecast.split(",")))
    unknown = [one for one in kinds if one not in known]
    if unknown:
        message = f"expected some of {','.join(known)}, found {unknown[0]!r}"
        raise typer.BadParameter(message, param_hint="--forecast")
    limits = dict.fromkeys(map(_limit_of, limit.split(",")))
    return [Added(cast(Kind, kind), one) for kind in kinds for one in ([1.0] if kind == "last" else limits)]


def number_of(text: str) -> float:
    """Returns the number that a text is, else one that compares with nothing.

    Args:
        text: From the command line.
    """
    try:
        return float(text)
    except ValueError:
        return math.nan


def _limit_of(text: str) -> float:
    found = number_of(text)
    if not 0 <= found < math.inf:
        raise typer.BadParameter(f"expected numbers from 0 up, as in 0.5,1, found {text!r}", param_hint="--limit")
    return found
