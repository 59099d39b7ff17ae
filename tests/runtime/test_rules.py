"""Rules are values: what they know of a branch is kept, copied, counted and put back like all else of it."""

from __future__ import annotations

import copy
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest
import torch

import teaspec
from teaspec import TeaCacheConfig
from teaspec.runtime import report, step
from teaspec.runtime.generation import together
from teaspec.runtime.rules.fixed import Always, Never
from teaspec.runtime.rules.rule import Rule, Seen, Start
from teaspec.runtime.rules.steps import Place
from teaspec.runtime.rules.threshold import Polynomial, Threshold
from teaspec.runtime.rules.verdict import Verdict
from tests.runtime.driving import choices, hooked, latents, reasons, signal, snapshot
from tests.runtime.models import WIDTH


def old_rule(
    distances: Sequence[float], coefficients: Sequence[float], threshold: float, absolute: bool
) -> list[tuple[str, float, float, float]]:
    """TeaCache's rule as it was before rules were values, written down once more: nothing here is the package's."""
    decided, carried = [], 0.0
    for distance in distances:
        rescaled = 0.0
        for coefficient in coefficients:
            rescaled = rescaled * distance + coefficient
        total = carried + (abs(rescaled) if absolute else rescaled)
        reuses = math.isfinite(total) and total < threshold
        carried = total if reuses else 0.0
        decided.append(("reuse" if reuses else "compute", distance, rescaled, total))
    return decided


def bits(decided: Sequence[tuple[str, float, float, float]]) -> list[tuple[str, ...]]:
    return [(choice, *(number.hex() for number in numbers)) for choice, *numbers in decided]


def test_the_thresholds_decisions_are_those_of_before_bit_for_bit() -> None:
    """1,000 drawn sequences of signals, through the hook; the rule of before is given the distances it measured.

    Goes red with `<=` for `<` in the rule, with a sum that is not begun anew behind a computed step, with the input of
    the last computed step in place of the last one's (`follow` that keeps it only where the verdict computes).
    """
    random, seen, hits = Random(16), set(), 0
    for number in range(1000):
        coefficients = [random.choice((0.0, random.uniform(-3, 3))) for _ in range(5)]
        threshold, absolute = random.uniform(0.01, 1.0), random.random() < 0.5
        if number % 5 == 0:  # sums that are hit exactly
            coefficients, threshold = [0.0, 0.0, 0.0, 1.0, 0.0], 0.25 * random.randint(1, 2)
        module, hook = hooked(rule=Threshold(threshold, Polynomial(tuple(coefficients)), _sign(absolute)))
        level, levels = 1.0, []
        with torch.no_grad():
            for index in range(random.randint(3, 7)):
                levels.append(level)
                module(latents(tokens=1), signal(level), 100.0 - index)
                level *= 1 + random.choice((0.0, 0.25, random.uniform(-0.5, 0.625)))
        first, *others = hook.decisions
        assert (first.decision, first.reason, dict(first.numbers)) == ("compute", "first call", {})
        found = [(one.decision, one.distance, one.rescaled, one.accumulated) for one in others]
        moves = [abs(after - before) / before for before, after in pairwise(levels)]
        assert [one.distance for one in others] == pytest.approx(moves, abs=1e-5), number
        assert bits(found) == bits(old_rule([one[1] for one in found], coefficients, threshold, absolute))
        seen |= set(choices(hook)[1:])
        hits += sum(one.accumulated == threshold for one in others)
    assert seen == {"compute", "reuse"}
    assert hits > 20


def _sign(absolute: bool) -> Any:
    return "absolute" if absolute else "signed"


def test_the_settings_and_the_rule_as_a_value_are_the_same() -> None:
    by_settings, by_rule = hooked(thresh=0.5, accumulate="absolute"), hooked(rule=Threshold(0.5, accumulate="absolute"))
    for module, _ in (by_settings, by_rule):
        for index, level in enumerate((1.0, 1.2, 1.5, 1.6, 4.0)):
            module(latents(), signal(level), 9.0 - index)
    assert by_settings[1].decisions == by_rule[1].decisions
    assert by_settings[1].rule == by_rule[1].rule


class Noted(NamedTuple):
    """What `Note` knows of a branch: the last signal, and how many steps there were."""

    kept: Any = None
    steps: int = 0


@dataclass(frozen=True)
class Note(Rule):
    """Keeps the signal, and computes every third step."""

    needs_signal = True

    def init(self, start: Start) -> Noted:
        return Noted()

    def measure(self, call: Seen, memory: Noted) -> Any:
        call.recall("signal", memory.kept)
        return ()

    def decide(self, numbers: Sequence[float], place: Place, memory: Noted) -> Verdict:
        return Verdict("reuse" if memory.steps % 3 else "compute", "every third", {"steps": memory.steps})

    def follow(self, call: Seen, verdict: Verdict, place: Place, memory: Noted) -> Noted:
        return Noted(call.keep("signal", call.signal), memory.steps + 1)


def noting(steps: int = 3, **settings: Any) -> tuple[Any, Any]:
    module, hook = hooked(rule=Note(), **settings)
    for index in range(steps):
        module(latents(), signal(1.0 + index), 9.0 - index)
    return module, hook


def test_a_rule_of_ones_own_decides() -> None:
    _, hook = noting(6)
    assert choices(hook) == ["compute", "reuse", "reuse"] * 2
    assert reasons(hook) == ["first call", *["every third"] * 5]
    assert hook.decisions[4].numbers == {"steps": 4}
    assert "steps=4 reason=every third" in str(hook.decisions[4])


def test_what_it_knows_is_counted_in_bytes_and_forgotten() -> None:
    """Goes red where `TeaCacheState.tensors` leaves the memory out."""
    module, hook = noting()
    (session,) = hook.sessions.all
    assert session.bytes_held == 4 * (WIDTH + 3 * WIDTH)  # the signal, and the residual of three tokens
    (state,) = session.states.values()
    state.reset()
    assert (state.memory, state.ruling, state.tensors()) == (None, None, [])
    module._reset_stateful_cache()
    assert session.bytes_held == 0


def test_what_it_knows_is_copied_with_the_transformer() -> None:
    module, hook = noting(4)
    twin = copy.deepcopy(module)
    other = teaspec.find_teacache_hook(twin)
    (state,), (copied,) = (one.state_manager.states.values() for one in (hook, other))
    assert copied.memory.steps == state.memory.steps == 4
    assert copied.memory.kept.value is not state.memory.kept.value
    for one in (module, twin):
        one(latents(), signal(9.0), 5.0)
    assert hook.decisions[4:] == other.decisions[-1:]
    assert other.decisions[-1].decision == "reuse"  # the copy goes on


def test_a_call_that_failed_leaves_what_it_knows_as_it_was() -> None:
    """Goes red where the state is changed in `follow`'s place instead of being replaced at the commit."""
    module, hook = noting()
    before, memory = snapshot(hook), next(iter(hook.state_manager.states.values())).memory

    def fail(*_: Any) -> None:
        raise KeyboardInterrupt

    handle = module.head.register_forward_pre_hook(fail)
    with pytest.raises(KeyboardInterrupt):
        module(latents(), signal(5.0), 6.0)
    handle.remove()
    assert snapshot(hook) == before
    assert next(iter(hook.state_manager.states.values())).memory is memory


def test_another_kind_of_rule_begins_anew_and_another_value_of_it_goes_on() -> None:
    module, hook = noting(2)
    hook.config.rule = Never(needs_signal=True)
    module(latents(), signal(3.0), 7.0)
    module(latents(), signal(3.0), 6.0)
    assert reasons(hook)[2:] == ["another rule", "never"]
    hook.config.rule, hook.config.coefficients = None, [0.0, 0.0, 0.0, 1.0, 0.0]
    module(latents(), signal(3.0), 5.0)
    hook.config.rel_l1_thresh = 0.25
    module(latents(), signal(4.0), 4.0)
    assert reasons(hook)[4:] == ["another rule", "distance"]
    assert choices(hook)[5] == "compute"  # a third more, and the threshold is 0.25 by now


def test_always_and_never() -> None:
    for rule, choice in ((Always(), "compute"), (Never(), "reuse")):
        module, hook = hooked(rule=rule)
        for index in range(4):
            module(latents(), signal(1.0), 9.0 - index)
        assert choices(hook) == ["compute", *[choice] * 3]


def test_a_setting_that_is_no_rule_is_refused() -> None:
    with pytest.raises(ValueError, match=r"rule must be a teaspec\.Rule, or None, found 0\.2"):
        TeaCacheConfig(rule=0.2)


WORDS = r"distance|rescale|accumulat|threshold|rel_l1|polynomial|coefficient|budget|toleranc|mask|schedul"
"""A rule's own terms."""

FREE = [
    *(Path(step.__file__).parent / f"{name}.py" for name in ("hook", "stepping", "deciding", "ranks", "telling")),
    *(Path(report.__file__).parent / f"{name}.py" for name in ("data", "stats", "table", "figure", "plain")),
    Path(together.__file__),
]


@pytest.mark.parametrize("file", FREE, ids=lambda file: file.stem)
def test_nobody_else_has_a_word_of_a_rules_own_terms(file: Path) -> None:
    """Goes red with `self.config.rel_l1_thresh` in any of them."""
    allowed = {"scheduler", "schedulers", "coefficients", "thresholds"}
    words = re.findall(r"\w+", file.read_text(encoding="utf-8"))
    found = {word for word in words if re.search(WORDS, word.lower()) and word.lower() not in allowed}
    assert not found
