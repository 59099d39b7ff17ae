"""Generations that break off, at any place, and the one that follows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from diffusers import FluxTransformer2DModel
from torch import nn

from tests.runtime.denoising import BRANCHES, TIMESTEPS, Denoiser, equal

NAMINGS = ("context", "step", "branch", "paired", "counted")


class Fault(BaseException):
    """Like an interrupt: no `except Exception` catches it."""


@contextmanager
def fault_at(model: nn.Module, number: int | None) -> Iterator[list[str]]:
    """Raises when the given call of a submodule has run; notes which submodules ran."""
    ran: list[str] = []

    def note(name: str) -> Any:
        def hook(*_: Any) -> None:
            ran.append(name)
            if len(ran) - 1 == number:
                raise Fault(name)

        return hook

    handles = [module.register_forward_hook(note(name)) for name, module in model.named_modules() if name]
    try:
        yield ran
    finally:
        for handle in handles:
            handle.remove()


@pytest.mark.parametrize(
    ("kind", "naming"),
    [
        ("flux", "context"),
        pytest.param("wan", "step", marks=pytest.mark.thorough),
        *(pytest.param(kind, "counted", marks=pytest.mark.thorough) for kind in ("flux", "wan")),
        *(pytest.param("flux", naming, marks=pytest.mark.thorough) for naming in ("step", "branch", "paired")),
    ],
)
def test_a_fault_at_every_call_of_every_submodule_is_followed_by_a_generation_like_a_fresh_one(
    kind: str, naming: str
) -> None:
    fresh = Denoiser.make(kind)
    expected = fresh.generate(2, naming)
    counts = [(one.computed, one.reused) for one in fresh.hook.counts.values()]
    assert len(counts) == 2
    assert all(computed >= 2 and reused >= 1 for computed, reused in counts)
    other = Denoiser.make(kind)
    with fault_at(other.model, None) as ran:
        other.generate(1, naming)
    names = {name for name, _ in other.model.named_modules() if name}
    containers = {name for name, module in other.model.named_modules() if isinstance(module, nn.ModuleList)}
    assert len(ran) > 100
    for number in range(len(ran)):
        with fault_at(other.model, number) as again, pytest.raises(Fault, match=ran[number]):
            other.generate(1, naming)
        assert again == ran[: number + 1]
        assert equal(other.generate(2, naming), expected), (number, ran[number])
        assert other.hook.decisions == fresh.hook.decisions
    assert names - containers - set(ran) <= unused(other)


def unused(denoiser: Denoiser) -> set[str]:
    """Submodules that a plain forward does not call either."""
    with fault_at(denoiser.model, None) as ran:
        latents, prompt = torch.zeros(denoiser.shape), torch.zeros(1, 3, 8)
        type(denoiser.model).forward(denoiser.model, **denoiser.inputs(latents, prompt, 1.0))
    return {name for name, _ in denoiser.model.named_modules()} - set(ran)


@pytest.mark.parametrize("kind", ["flux", "wan"])
@pytest.mark.parametrize("naming", NAMINGS)
def test_a_generation_that_is_given_up_between_calls_is_followed_by_one_like_a_fresh_one(
    kind: str, naming: str
) -> None:
    fresh, other = Denoiser.make(kind), Denoiser.make(kind)
    expected = fresh.generate(2, naming)
    for number in range(1, len(TIMESTEPS) * len(BRANCHES) + 1):
        calls = other.calls(1, naming)
        for _ in range(number):
            next(calls)
        found = other.generate(2, naming)
        if number > {"paired": 1, "counted": 2}.get(naming, 0):
            assert equal(found, expected), number
        else:
            # Nobody says that these are not passes of one step. Nothing of the other generation is used all the same.
            assert equal(found[:2], expected[:2])
            assert {one.reason for one in other.hook.decisions[:2]} <= {"first call", "other conditioning"}
            assert torch.equal(found[2], plain_call(other, 2))


def plain_call(denoiser: Denoiser, number: int) -> torch.Tensor:
    """What a call of the second generation returns where nothing is reused."""
    kind = "flux" if isinstance(denoiser.model, FluxTransformer2DModel) else "wan"
    return Denoiser.make(kind, rel_l1_thresh=1e-9).generate(2)[number]


@pytest.mark.parametrize("naming", NAMINGS)
def test_a_call_that_failed_may_be_repeated(naming: str) -> None:
    fresh, other = Denoiser.make("flux"), Denoiser.make("flux")
    expected = fresh.generate(1, naming)
    model, failed = other.model, []
    forward = model.forward

    def twice(**kwargs: Any) -> Any:
        with fault_at(model, 3), pytest.raises(Fault):
            forward(**kwargs)
        failed.append(True)
        return forward(**kwargs)

    calls = other.calls(1, naming)
    model.forward = twice
    assert equal(list(calls), expected)
    assert len(failed) == len(expected)
    assert other.hook.decisions == fresh.hook.decisions


@pytest.mark.parametrize("naming", NAMINGS)
def test_another_resolution_begins_a_generation(naming: str) -> None:
    fresh, other = Denoiser.make("flux"), Denoiser.make("flux")
    expected = fresh.generate(2, naming)
    larger = Denoiser(other.model, other.hook, other.inputs, (1, 9, 4))
    for number in range(1, len(TIMESTEPS) * len(BRANCHES) + 1):
        calls = larger.calls(1, naming)
        for _ in range(number):
            next(calls)
        assert equal(other.generate(2, naming), expected), number
