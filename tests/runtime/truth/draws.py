"""Draws stories. What nobody can tell, and nobody promises, is left out, with the reason beside it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from tests.runtime.truth.plans import KEYS, Generation, Round, Rows, Story

MOST_STEPS = 5

DRAWN_ANEW = 6
"""One generation in so many is made in another way than the first of its story: others are easier to mistake."""


def chosen(*values: Any) -> st.SearchStrategy[Any]:
    return st.sampled_from(values)


def rarely() -> st.SearchStrategy[bool]:
    return chosen(False, False, False, True)


@st.composite
def manners(draw: Any, followed: bool) -> dict[str, Any]:
    """Draws how generations are made: what the code of a pipeline says."""
    plan: dict[str, Any] = {"naming": draw(chosen("context", "none", "branch", "index", "paired"))}
    paired = plan["naming"] == "paired"
    # A pipeline that says `do_true_cfg` makes two calls at each step.
    pairs, others = (("cond", "uncond"), ("uncond", "cond")), (("cond",), ("cond", "uncond", "third"))
    plan["passes"] = passes = draw(chosen(*pairs) if paired else chosen(*others, *pairs))
    plan["batched"] = not paired and len(passes) > 1 and draw(st.booleans())
    plan["keeping"] = draw(chosen("objects", "objects", "anew", "buffer"))
    plan["guidance"] = draw(chosen("none", "number", "tensor", "anew"))
    plan["clock"] = draw(chosen("tensor", "number", "rows"))
    special = draw(chosen("", "", "", "windows", "stages", "both"))
    if special in ("windows", "both"):
        plan["windows"], plan["short"] = draw(st.integers(2, 3)), draw(st.booleans())
    if special in ("stages", "both"):
        plan["stages"] = draw(st.integers(2, 3))
        # Windows that are solved one after the other, each by stages, jump: only a scheduler tells that from an end.
        plan["outer"] = draw(chosen("stages", "windows")) if followed else "stages"
    # Windows are told apart by their number alone: a transformer alone cannot tell passes that come or go among them.
    counted = not followed and plan.get("windows", 1) > 1 and plan["naming"] in ("none", "paired")
    if "uncond" in passes and not counted and draw(rarely()):
        plan["drop"] = draw(st.integers(1, MOST_STEPS))
    if not paired and not counted and draw(rarely()):
        first = draw(st.integers(0, MOST_STEPS - 1))
        plan["skip"] = (first, draw(st.integers(first + 1, MOST_STEPS)))
        plan["skip_named"] = draw(st.booleans()) or (not followed and plan.get("windows", 1) > 1)
    return plan


@st.composite
def generations(
    draw: Any, followed: bool, mixed: bool, session: int, alone: bool, manner: dict[str, Any]
) -> Generation:
    """Draws a generation.

    Args:
        draw: Given by hypothesis.
        followed: Whether a scheduler is.
        mixed: Whether the transformer has diffusers' mixin, so that numbers of steps reach it.
        session: Number of its key.
        alone: Whether nobody takes turns with it. Several on one scheduler need one that counts nothing.
        manner: How it is made, if not in a manner of its own.
    """
    if draw(st.integers(1, DRAWN_ANEW)) == DRAWN_ANEW:
        manner = draw(manners(followed))
    steps = draw(st.integers(1, MOST_STEPS))
    plan: dict[str, Any] = {"session": session, "steps": steps, **manner}
    plan |= {"prompt": draw(chosen("same", "equal", "cond", "new")), "noise": draw(chosen(True, False))}
    plan["stop"] = draw(st.integers(0, steps - 1)) if draw(rarely()) else 0
    plan["resets"] = draw(rarely())
    plan["start"] = draw(st.integers(0, steps - 1 if followed else MOST_STEPS))
    jumps = draw(rarely()) and plan.get("stages", 1) == 1
    if followed:
        plan["scheduler"] = draw(chosen("euler", "ddim", "heun", "unipc")) if alone else "ddim"
        plan["begin_index"], plan["exchanged"] = draw(st.booleans()), draw(rarely())
        plan["boundary"] = draw(st.integers(1, MOST_STEPS)) if draw(rarely()) else None
        counts = plan["scheduler"] != "ddim"
        plan["samples"] = 1 if counts else draw(st.integers(1, 2))
    else:
        plan["stride"] = draw(st.integers(1, 2))
        plan["onward"] = draw(chosen(None, 0, 1, 2))
        counts = plan["naming"] != "index" or not mixed
    # Timesteps that jump are promised where a scheduler tells the step, or its number does.
    if jumps and not counts:
        plan["order"] = tuple(draw(st.lists(st.integers(0, MOST_STEPS - 1), min_size=steps, max_size=steps)))
    if draw(chosen(False, True, True)):
        plan["cut"] = draw(st.integers(0, 7))
        plan["breaks"] = draw(chosen("stop", "prelude", "postlude"))
        plan["repeats"] = plan["breaks"] != "stop" and draw(rarely())
    return Generation(**plan)


@st.composite
def rounds(draw: Any, followed: bool, mixed: bool, manner: dict[str, Any]) -> Round:
    """Draws one generation, or two that take turns."""
    session = draw(chosen(0, 0, 0, 0, 0, 0, 0, 1, 2))
    if draw(st.integers(0, 7)) == 7:
        other = draw(st.sampled_from([key for key in range(len(KEYS)) if key != session]))
        one, two = (draw(generations(followed, mixed, key, False, manner)) for key in (session, other))
        # Exchanged in the midst of another session's generation, that one would go on with it in diffusers, too.
        parts = (one, replace(two, exchanged=False))
        turns = tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=3)))
        return Round(parts, turns, draw(st.booleans()))
    if not followed and draw(st.integers(0, 9)) == 9:
        number = st.integers(1, 4)
        rows = Rows(session, draw(number), draw(number), draw(st.integers(0, 5)), draw(number), draw(number))
        return Round((rows,))
    return Round((draw(generations(followed, mixed, session, True, manner)),))


@st.composite
def stories(draw: Any) -> Story:
    """Draws a story."""
    followed = draw(st.booleans())
    mixed, signal = draw(st.booleans()), draw(chosen("constant", "timestep"))
    manner = draw(manners(followed))
    parts = draw(st.lists(rounds(followed, mixed, manner), min_size=2, max_size=5))
    if not followed and draw(st.integers(0, 9)) == 9:  # as a model has them, whoever calls it
        parts = [replace(one, parts=tuple(map(_rising, one.parts))) for one in parts]
    return Story(followed, mixed, signal, draw(st.booleans()), tuple(parts))


def _rising(plan: Generation | Rows) -> Generation | Rows:
    return replace(plan, rising=True) if isinstance(plan, Generation) else plan
