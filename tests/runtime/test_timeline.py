from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from teaspec.runtime.contract.arguments import ArgumentFinder
from teaspec.runtime.contract.signature import TIMESTEP_NAMES
from teaspec.runtime.generation.calls import Call, Position
from teaspec.runtime.generation.moments import look
from teaspec.runtime.generation.timeline import place


def forward(hidden_states: Any, encoder: Any = None, timestep: Any = None, *, guidance: Any = None) -> None: ...


def untimed(hidden_states: Any) -> None: ...


class Calls:
    """Calls that have no names, one after the other."""

    def __init__(self, function: Any = forward) -> None:
        self.arguments = ArgumentFinder.of(function)
        self.last: Position | None = None

    def peek(self, *args: Any, again: bool = False, **kwargs: Any) -> Position:
        last = None if self.last is None else self.last.moment
        moment = look(self.arguments, TIMESTEP_NAMES, args, kwargs, last, None)
        return place(self.last, Call(moment, again=again, image=kwargs.get("hidden_states")))

    def add(self, *args: Any, again: bool = False, **kwargs: Any) -> tuple[int, bool]:
        self.last = self.peek(*args, again=again, **kwargs)
        return int(self.last.branch.removeprefix("#")), self.last.restarts


def indexes(timesteps: list[Any], calls: Calls | None = None) -> list[tuple[int, bool]]:
    calls = calls or Calls()
    return [calls.add(timestep=timestep) for timestep in timesteps]


def test_the_kth_call_at_a_timestep_is_branch_k() -> None:
    values = [3, 3, 3, 2, 2, 2, 1, 1, 1]
    expected = [(0, False), (1, False), (2, False)] * 3
    assert indexes([torch.tensor([value]) for value in values]) == expected
    assert indexes([float(value) for value in values]) == expected
    assert indexes([torch.tensor([value, value]) / 4 for value in values]) == expected


def test_the_same_object_is_one_timestep() -> None:
    first, second = torch.tensor(2.0), torch.tensor(1.0)
    assert indexes([first, first, second, second]) == [(0, False), (1, False)] * 2


def test_a_reused_buffer_is_another_timestep() -> None:
    calls, buffer = Calls(), torch.tensor([9.0])
    found = []
    for value in (9.0, 9.0, 8.0, 8.0):
        buffer.fill_(value)
        found += indexes([buffer], calls)
    assert found == [(0, False), (1, False)] * 2


def test_inference_tensors_are_compared_by_value() -> None:
    with torch.inference_mode():
        buffer = torch.tensor([2.0])
        calls = Calls()
        first = indexes([buffer, buffer], calls)
        buffer.fill_(1.0)
        assert first + indexes([buffer], calls) == [(0, False), (1, False), (0, False)]


@pytest.mark.parametrize("generation", [[3.0, 2.0, 1.0], [0.0, 0.5, 1.0], [2.0, 1.0]], ids=["falling", "rising", "two"])
def test_a_timestep_that_turns_back_begins_a_generation(generation: list[float]) -> None:
    once = [(0, False)] * len(generation)
    again = [(0, True), *once[1:]]
    assert indexes(generation * 3) == once + again + again
    assert indexes([torch.tensor(value) for value in generation * 3]) == once + again + again


def test_per_token_timesteps_are_ordered_by_their_mean() -> None:
    steps = [torch.tensor([0.0, level, level]) for level in (3.0, 2.0, 1.0, 3.0)]
    assert indexes(steps) == [(0, False), (0, False), (0, False), (0, True)]
    permuted = [torch.tensor([1.0, 0.0]), torch.tensor([0.0, 1.0])]
    assert indexes(permuted) == [(0, False), (0, False)]
    falling = [torch.tensor(tokens) for tokens in ([3.0, 3.0], [2.0, 2.0], [1.0, 3.0], [3.0, 3.0])]
    assert indexes(falling) == [(0, False), (0, False), (0, False), (0, True)]
    calls, buffer = Calls(), torch.tensor([1.0, 0.0])
    first = indexes([buffer], calls)
    buffer.copy_(buffer.flip(0))
    assert first + indexes([buffer], calls) == [(0, False), (0, False)]


def test_looking_counts_nothing() -> None:
    calls = Calls()
    assert [calls.peek(timestep=1.0).branch, calls.peek(timestep=1.0).branch] == ["#0", "#0"]
    calls.add(timestep=1.0)
    assert calls.peek(timestep=1.0).branch == "#1"


@pytest.mark.parametrize(
    ("args", "kwargs"), [((0, 1, 7.0), {}), ((0,), {"timestep": 7.0}), ((0,), {"timestep": None, "t": 7.0})]
)
def test_the_timestep_is_found_however_it_is_passed(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    assert Calls().peek(*args, **kwargs).moment.timestep == 7.0


def test_without_a_timestep_there_is_one_branch() -> None:
    calls = Calls(untimed)
    assert [calls.add(5.0) for _ in range(3)] == [(0, False)] * 3


def branches(calls: list[tuple[Any, str | None, int | None]], paired: bool = False) -> list[tuple[str, bool]]:
    """Calls as (timestep, name, index of the step)."""
    last: Position | None = None
    found = []
    for timestep, name, index in calls:
        kwargs = {} if timestep is None else {"timestep": timestep}
        before = None if last is None else last.moment
        moment = look(ArgumentFinder.of(forward), TIMESTEP_NAMES, (), kwargs, before, index)
        last = place(last, Call(moment, name, paired))
        found.append((last.branch, last.restarts))
    return found


def test_named_calls_keep_their_names_and_turn_back_with_the_timestep() -> None:
    generation = [(9.0, "a", None), (9.0, "b", None), (5.0, "a", None), (5.0, "b", None), (1.0, "a", None)]
    plain = [(name, False) for _, name, _ in generation]
    assert branches(generation * 2) == [*plain, ("a", True), *plain[1:]]


def test_a_named_branch_that_is_called_again_at_the_first_timestep_begins_once_more() -> None:
    assert branches([(9.0, "a", None), (9.0, "a", None)]) == [("a", False), ("a", True)]
    assert branches([(9.0, "a", None), (9.0, "b", None), (9.0, "a", None)])[-1] == ("a", True)


def test_solvers_of_second_order_call_a_branch_twice_at_later_timesteps() -> None:
    timesteps = [9.0, 6.0, 6.0, 3.0, 3.0]
    twice = ["a", "a", "a#1", "a", "a#1"]
    # Without a scheduler, the first step that has two calls may be the last of one generation and the first of another.
    begins = [False, False, False, True, False]
    assert branches([(timestep, "a", None) for timestep in timesteps]) == [*zip(twice, begins, strict=True)]
    pairs = [(timestep, name, None) for timestep in timesteps for name in ("a", "b")]
    found = [name for name, _ in branches(pairs)]
    assert found == [pair for name in twice for pair in (name, name.replace("a", "b"))]


def test_the_number_of_the_step_counts_where_it_is_given() -> None:
    rising = [(9.0, "a", 0), (9.5, "a", 1), (5.0, "a", 2), (9.0, "a", 3)]
    assert branches([*rising, (9.9, "a", 0)]) == [("a", False)] * 4 + [("a", True)]
    assert branches([(None, "a", 5), (None, "b", 5), (None, "a", 6), (None, "a", 5)])[-1] == ("a", True)
    assert branches([(None, "a", 5), (None, "a", 5)])[-1] == ("a", True)


def test_pairs_alternate_and_begin_anew_with_each_timestep() -> None:
    both = [("positive", False), ("negative", False)]
    assert branches([(9.0, None, None)] * 2 + [(5.0, None, None)] * 2, paired=True) == both * 2
    assert branches([(None, None, None)] * 6, paired=True) == both * 3
    assert branches([(9.0, None, None)] * 2 + [(5.0, None, None), (1.0, None, None)], paired=True)[2:] == [
        ("positive", False),
        ("positive", False),
    ]
    assert branches([(9.0, None, None)] * 3, paired=True) == [*both, ("positive", True)]


def test_after_a_failure_another_call_at_the_first_timestep_begins_once_more() -> None:
    calls = Calls()
    calls.add(timestep=9.0)
    assert calls.peek(timestep=9.0, again=True).restarts
    assert not calls.peek(timestep=9.0).restarts
    calls.add(timestep=5.0)
    assert not calls.peek(timestep=5.0, again=True).restarts


def test_counted_calls_about_several_images_at_the_first_timestep_are_not_trusted() -> None:
    one, other = torch.tensor([1.0]), torch.tensor([2.0])
    calls = Calls()
    calls.add(hidden_states=one, timestep=9.0)
    calls.add(hidden_states=one.clone(), timestep=9.0)
    assert not calls.last.unsure
    assert calls.add(hidden_states=other, timestep=9.0) == (2, False)
    assert calls.last.unsure
    assert calls.add(hidden_states=other, timestep=5.0) == (0, True)
    assert calls.add(hidden_states=one, timestep=5.0) == (1, False)
    assert calls.last.unsure  # for the generation may have begun there, and the step before had three calls
    assert calls.add(hidden_states=one, timestep=3.0) == (0, True)
    assert calls.add(hidden_states=other, timestep=3.0) == (1, False)
    assert calls.add(hidden_states=one, timestep=2.0) == (0, False)  # as many as before, so they are windows
    assert calls.add(hidden_states=one, timestep=4.0) == (0, True)


@pytest.mark.parametrize("timestep", [np.array([1.0, 2.0]), [torch.tensor([1.0, 2.0])]], ids=["array", "tensors"])
def test_what_cannot_be_compared_is_another_timestep(timestep: Any) -> None:
    other = type(timestep)(timestep) if isinstance(timestep, list) else timestep.copy()
    other[0] = timestep[0] * 1
    assert indexes([timestep, other]) == [(0, False), (0, False)]


def test_a_number_is_the_timestep_that_a_tensor_of_it_is() -> None:
    """One pipeline passes numbers, the next one tensors: called again at a timestep, and in no later step."""
    assert indexes([torch.tensor([1.0]), 1.0]) == [(0, False), (1, False)]


def test_arguments_are_found_by_name_or_position() -> None:
    finder = ArgumentFinder.of(forward)
    assert finder.find("encoder", ("h", "e"), {}) == "e"
    assert finder.find("encoder", ("h",), {"encoder": "k"}) == "k"
    assert finder.find("encoder", ("h",), {}) is None
    assert finder.find("guidance", ("h", "e", "t"), {"guidance": 3}) == 3
    assert finder.find("guidance", ("h", "e", "t"), {}) is None
    assert finder.find("nobody", ("h", "e", "t"), {"nobody": 1}) == 1
