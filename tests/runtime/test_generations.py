from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from teaspec.runtime.arguments import ArgumentFinder
from teaspec.runtime.generations import CallOrder


def forward(hidden_states: Any, encoder: Any = None, timestep: Any = None, *, guidance: Any = None) -> None: ...


def untimed(hidden_states: Any) -> None: ...


def indexes(timesteps: list[Any], order: CallOrder | None = None) -> list[tuple[int, bool]]:
    order = order or CallOrder(ArgumentFinder.of(forward))
    found = []
    for timestep in timesteps:
        call = order.peek((), {"timestep": timestep})
        order.commit(call)
        found.append((call.index, call.restarts))
    return found


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
    order, buffer = CallOrder(ArgumentFinder.of(forward)), torch.tensor([9.0])
    found = []
    for value in (9.0, 9.0, 8.0, 8.0):
        buffer.fill_(value)
        found += indexes([buffer], order)
    assert found == [(0, False), (1, False)] * 2


def test_inference_tensors_are_compared_by_value() -> None:
    with torch.inference_mode():
        buffer = torch.tensor([2.0])
        order = CallOrder(ArgumentFinder.of(forward))
        first = indexes([buffer, buffer], order)
        buffer.fill_(1.0)
        assert first + indexes([buffer], order) == [(0, False), (1, False), (0, False)]


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
    order, buffer = CallOrder(ArgumentFinder.of(forward)), torch.tensor([1.0, 0.0])
    first = indexes([buffer], order)
    buffer.copy_(buffer.flip(0))
    assert first + indexes([buffer], order) == [(0, False), (0, False)]


def test_a_call_that_is_not_committed_does_not_count() -> None:
    order = CallOrder(ArgumentFinder.of(forward))
    assert order.peek((), {"timestep": 1.0}).index == 0
    assert order.peek((), {"timestep": 1.0}).index == 0
    order.commit(order.peek((), {"timestep": 1.0}))
    assert order.peek((), {"timestep": 1.0}).index == 1
    order.reset()
    assert order.peek((), {"timestep": 1.0}).index == 0


@pytest.mark.parametrize(
    ("args", "kwargs"), [((0, 1, 7.0), {}), ((0,), {"timestep": 7.0}), ((0,), {"timestep": None, "t": 7.0})]
)
def test_the_timestep_is_found_however_it_is_passed(args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    assert CallOrder(ArgumentFinder.of(forward)).peek(args, kwargs).timestep == 7.0


def test_without_a_timestep_there_is_one_branch() -> None:
    order = CallOrder(ArgumentFinder.of(untimed))
    for _ in range(3):
        call = order.peek((5.0,), {})
        order.commit(call)
        assert (call.index, call.restarts) == (0, False)


@pytest.mark.parametrize("timestep", [np.array([1.0, 2.0]), [torch.tensor([1.0, 2.0])]], ids=["array", "tensors"])
def test_what_cannot_be_compared_is_another_timestep(timestep: Any) -> None:
    other = type(timestep)(timestep) if isinstance(timestep, list) else timestep.copy()
    other[0] = timestep[0] * 1
    assert indexes([timestep, other]) == [(0, False), (0, False)]


def test_tensors_on_other_devices_are_other_timesteps() -> None:
    assert indexes([torch.tensor([1.0]), 1.0]) == [(0, False), (0, False)]


def test_arguments_are_found_by_name_or_position() -> None:
    finder = ArgumentFinder.of(forward)
    assert finder.find("encoder", ("h", "e"), {}) == "e"
    assert finder.find("encoder", ("h",), {"encoder": "k"}) == "k"
    assert finder.find("encoder", ("h",), {}) is None
    assert finder.find("guidance", ("h", "e", "t"), {"guidance": 3}) == 3
    assert finder.find("guidance", ("h", "e", "t"), {}) is None
    assert finder.find("nobody", ("h", "e", "t"), {"nobody": 1}) == 1
