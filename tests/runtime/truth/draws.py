"""Draws stories. What nobody can tell, and nobody promises, is left out, with the reason beside it."""

from __future__ import annotations

from typing import Any

from hypothesis import strategies as st

from tests.runtime.truth.plans import KEYS, Generation, Round, Rows, Story

MOST_STEPS = 5


@st.composite
def generations(draw: Any, followed: bool, session: int, alone: bool) -> Generation:
    """Draws a generation.

    Args:
        draw: Given by hypothesis.
        followed: Whether a scheduler is.
        session: Number of its key.
        alone: Whether nobody takes turns with it. Several on one scheduler need one that counts nothing.
    """
    choose = lambda *values: draw(st.sampled_from(values))  # noqa: E731
    rarely = lambda: choose(False, False, False, True)  # noqa: E731
    steps = draw(st.integers(1, MOST_STEPS))
    plan: dict[str, Any] = {"session": session, "steps": steps}
    plan |= {"prompt": choose("new", "same", "equal", "cond"), "noise": choose(True, False)}
    plan["keeping"] = choose("objects", "anew", "buffer")
    plan["guidance"] = choose("none", "number", "tensor", "anew")
    plan["clock"] = choose("tensor", "number", "rows")
    plan["naming"] = naming = choose("context", "none", "branch", "index", "paired")
    plan["stop"] = draw(st.integers(0, steps - 1)) if rarely() else 0
    plan["resets"] = choose(True, False)
    if followed:
        plan["scheduler"] = scheduler = choose("euler", "ddim", "heun", "unipc") if alone else "ddim"
        plan["start"] = draw(st.integers(0, steps - 1))
        plan["begin_index"], plan["exchanged"] = choose(False, True), rarely()
        plan["boundary"] = draw(st.integers(1, MOST_STEPS)) if rarely() else None
        if scheduler == "ddim":
            plan["samples"] = choose(1, 2)
    else:
        plan["start"], plan["stride"] = draw(st.integers(0, MOST_STEPS)), choose(1, 2)
        plan["rising"] = rarely()
    # A pipeline that says `do_true_cfg` makes two calls at each step.
    plan["passes"] = passes = (
        choose(("cond", "uncond"), ("uncond", "cond"))
        if naming == "paired"
        else choose(("cond",), ("cond", "uncond"), ("uncond", "cond"), ("cond", "uncond", "third"))
    )
    plan["batched"] = naming != "paired" and len(passes) > 1 and choose(False, True)
    special = choose("", "", "windows", "stages", "both", "order")
    if special in ("windows", "both"):
        plan["windows"], plan["short"] = draw(st.integers(2, 3)), choose(False, True)
    if special in ("stages", "both"):
        plan["stages"], plan["outer"] = draw(st.integers(2, 3)), choose("stages", "windows")
    # Timesteps that jump are promised where a scheduler tells, or the number of the step does.
    if special == "order" and (plan.get("scheduler") == "ddim" or (not followed and naming == "index")):
        plan["order"] = tuple(draw(st.lists(st.integers(0, MOST_STEPS - 1), min_size=steps, max_size=steps)))
    if "uncond" in passes and rarely():
        plan["drop"] = draw(st.integers(1, MOST_STEPS))
    if naming != "paired" and rarely():
        first = draw(st.integers(0, MOST_STEPS - 1))
        plan["skip"] = (first, draw(st.integers(first + 1, MOST_STEPS)))
        plan["skip_named"] = choose(False, True)
    if choose(False, True):
        plan["cut"] = draw(st.integers(0, 12))
        plan["breaks"] = choose("stop", "prelude", "postlude")
        plan["repeats"] = choose(False, True)
    return Generation(**plan)


@st.composite
def rounds(draw: Any, followed: bool) -> Round:
    """Draws one generation, or two that take turns."""
    session = draw(st.sampled_from((0, 0, 0, 1, 2)))
    if draw(st.sampled_from((False, False, False, True))):
        other = draw(st.sampled_from([key for key in range(len(KEYS)) if key != session]))
        parts = tuple(draw(generations(followed, key, False)) for key in (session, other))
        turns = tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=3)))
        return Round(parts, turns, draw(st.booleans()))
    if not followed and draw(st.integers(0, 9)) == 9:
        number = st.integers(1, 4)
        rows = Rows(session, draw(number), draw(number), draw(st.integers(0, 5)), draw(number), draw(number))
        return Round((rows,))
    return Round((draw(generations(followed, session, True)),))


@st.composite
def stories(draw: Any) -> Story:
    """Draws a story."""
    followed = draw(st.booleans())
    mixed, signal = draw(st.booleans()), draw(st.sampled_from(("constant", "timestep")))
    parts = draw(st.lists(rounds(followed), min_size=1, max_size=4))
    return Story(followed, mixed, signal, draw(st.booleans()), tuple(parts))
