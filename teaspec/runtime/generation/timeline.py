"""Whose call it is: which branch of which step, and whether a new generation began.

What a pipeline says comes before what is guessed. A scheduler that is attended to (`Run`) tells generations and steps;
calls between two of its steps are passes, windows or stages of one step. Else the number of the step tells, where
`cache_context` gives it; else the timestep: one that moves against the direction so far begins a generation. A branch
is a name, the k-th call of that name and layout in a step, and the layout.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch

from teaspec.runtime.generation.calls import Call, Counts, Position
from teaspec.runtime.generation.moments import Moment, is_rising, is_same, same_value, turns_back
from teaspec.runtime.generation.run import Run
from teaspec.runtime.generation.state import Layout
from teaspec.runtime.records import altered

PAIR = ("positive", "negative")
"""The branches of a transformer with `do_true_cfg`, in the order in which they are called."""

STAGES = 4
"""At so many timesteps a model is called between two steps at most: the classical Runge-Kutta method has four."""

MOST = 256
"""More calls in one step, or layouts in one generation, than any pipeline has; then nobody tells generations apart."""

MARKS = frozenset("#:'\"")
"""What tells branches of one name apart, and what is put around a name that holds any of it."""


def place(last: Position | None, call: Call) -> Position:
    """Returns a call's place behind the calls so far.

    Args:
        last: The place of the last call that succeeded, None at the beginning.
        call: The call, the level of its moment read.
    """
    if last is None:
        return begin(call)
    if call.run is not None and last.silent == (call.run.serial, call.run.ended):
        call = replace(call, run=None)
    return _guessed(last, call) if call.run is None else _told(last, call, call.run)


def begin(call: Call, last: Position | None = None, **kept: object) -> Position:
    """Returns the place of a generation's first call.

    Args:
        call: Nothing before it counts.
        last: The place of the last call of another generation, where there was one.
        **kept: What is still known from before.
    """
    name = _name(call, {})
    branch, base = _title(name, 0, 0)
    first = Position(
        call.moment,
        branch,
        base,
        {(name, call.layout): 1},
        layouts=(call.layout,),
        run=call.run,
        seen=frozenset({(name, call.layout, 0)}),
        may_be_first=True,
        images=_with_image({}, call),
        levels=_with_level((), call.moment),
        called=(call.branch or "", call.layout),
    )
    if last is not None:
        usual = last.usual if last.rising is None else last.rising
        first = replace(first, restarts=True, usual=usual, silent=last.silent)
    return replace(first, **kept)  # type: ignore[arg-type]


def is_repeated(last: Position | None, call: Call) -> bool:
    """Returns whether a name was called before in the last step, so that the step has to be known to count the call."""
    return last is not None and (call.branch is None or (call.branch, call.layout) in last.counts)


def key_of(call: Call, layouts: tuple[Layout, ...]) -> str | None:
    """Returns the branch of a named call that is the first of its name in its step; None where it is new."""
    if call.branch is None or call.layout not in layouts:
        return None
    return _title(call.branch, 0, layouts.index(call.layout))[0]


def _told(last: Position, call: Call, run: Run) -> Position:
    if last.run is None or last.run.serial != run.serial or run.is_lost:
        return begin(call, last)
    same = last.run.ended == run.ended
    levels = _with_level(last.levels if same else (), call.moment)
    if len(levels) > STAGES:
        return begin(replace(call, run=None), last, silent=(run.serial, run.ended))
    return _next(last, call, same, levels=levels)


def _guessed(last: Position, call: Call) -> Position:
    if last.run is not None:
        return begin(call, last)
    moment = call.moment
    same = _is_same_step(last, call)
    if same and call.again and call.paired and call.branch is None and moment.is_known:
        return begin(call, last, is_doubted=True)  # one half of a pair failed, and this is not that call again
    rising = None if same or call.undirected else is_rising(last.moment, moment, resized=call.resized)
    if turns_back(last.moment, moment, rising, last.rising):
        return begin(call, last)
    if last.step == 0 and None not in (rising, last.usual) and rising != last.usual:
        # The direction may be another one from here on; a generation that was given up at its first step is as likely.
        return begin(call, last, usual=rising)
    if last.unsure and not same and last.pattern != last.counts:
        # Nobody knows whose the states are. If this step has the calls of the last one, each given what it was given
        # then, they are of one generation.
        pattern = None if call.differs else last.counts
        return begin(call, last, rising=last.rising if rising is None else rising, pattern=pattern)
    is_counted = last.moment.index is not None and moment.index is not None
    rising = last.rising if rising is None else rising
    position = _next(last, call, same, rising=rising, usual=last.usual, is_counted=is_counted)
    if position.may_be_first:
        position = altered(position, images=_with_image(position.images, call))
    if not same:
        return position
    kind = (_name(call, last.counts, last), call.layout)
    if not position.may_be_first:
        # Once more within a step, as in no step before: a pass that is new, or the first call of another generation.
        is_new = kind in last.counts and position.seen is not last.seen
        return replace(position, unsure=True) if is_new else position
    if position.counts == {**last.counts, kind: 1}:
        return position
    is_same_image = call.image is None or same_value(call.image, position.images[call.layout])
    is_numbered = call.branch is None and not call.paired
    differs = call.differs and not (call.is_unknown and last.pattern is None)
    again = call.again if is_numbered else differs or is_same_image
    if again and last.pattern is None and not last.is_doubted and last.step == 0:
        return begin(call, last, is_doubted=True)
    return replace(position, unsure=last.unsure or differs or not is_same_image or (again and last.step > 0))


def _next(last: Position, call: Call, same: bool, **changed: object) -> Position:
    counts = last.counts if same else {}
    name = _name(call, counts, last)
    number = counts.get((name, call.layout), 0)
    like_it = (name, call.layout, number)
    layouts = last.layouts if call.layout in last.layouts else (*last.layouts, call.layout)
    order = last.order + 1 if same else 1
    if order > MOST or len(layouts) > MOST or len(last.seen) > MOST:
        return begin(call, last)
    layout = layouts.index(call.layout)
    branch, base = _title(name, number, layout)
    settled: dict[str, Any] = {
        "moment": call.moment,
        "branch": branch,
        "base": base,
        "counts": {**counts, (name, call.layout): number + 1},
        "order": order,
        "layouts": layouts,
        "run": call.run,
        "levels": (),
        "called": (call.branch or "", call.layout),
        "is_counted": False,
        "usual": None,
        "restarts": False,
        "twin": _title(name, 0, layout)[0] if name and number else None,
    }
    if like_it not in last.seen:
        settled["seen"] = last.seen | {like_it}
    if not same:
        settled |= {
            "step": last.step + 1,
            "shifted": frozenset(),
            "may_be_first": like_it not in last.seen,
            "images": {},
            "unsure": False,
            "pattern": None,
        }
    elif call.differs:
        settled["pattern"] = None
    return altered(last, **settled | changed)


def _is_same_step(last: Position, call: Call) -> bool:
    if call.moment.is_known or last.moment.is_known:
        return is_same(call.moment, last.moment, exact=call.branch is None)
    # Without any time a step ends where a name comes again; what has no name is a step by itself.
    name = _name(call, {}, last)
    return bool(name) and all(name != called for called, _ in last.counts)


def _name(call: Call, counts: Counts, last: Position | None = None) -> str:
    """Returns the name of a call's branch behind the calls of its step so far, empty where it has none."""
    if call.branch is not None:
        return call.branch
    if not call.paired:
        return ""
    if not call.moment.is_known and call.run is None and last is not None:
        return PAIR[1 - PAIR.index(last.base)] if last.base in PAIR else PAIR[0]
    return PAIR[sum(counts.get((name, call.layout), 0) for name in PAIR) % 2]


def _title(name: str, number: int, layout: int) -> tuple[str, str]:
    if MARKS & set(name):
        name = repr(name)  # so that no name looks like what is written for another branch
    base = name if name and not number else f"{name}#{number}"
    return base if layout == 0 else f"{base}:{layout}", base


def _with_level(levels: tuple[float, ...], moment: Moment) -> tuple[float, ...]:
    level = moment.level
    return (*levels, level) if isinstance(level, float) and level not in levels else levels


def _with_image(images: Mapping[Layout, torch.Tensor], call: Call) -> Mapping[Layout, torch.Tensor]:
    """Returns the images with that of a call, where it is the first of its layout, and nobody tells whose it is."""
    if call.run is not None or call.image is None or call.layout in images:
        return images
    return {**images, call.layout: call.image.detach().clone()}
