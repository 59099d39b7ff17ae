"""What is kept between steps: where, as what, how much; and how often an accelerator is waited for."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from teaspec import TeaCacheConfig
from teaspec.runtime.generation import conditioning, moments
from teaspec.runtime.keep.memory import Storage, bytes_held, fetch, origin_of
from teaspec.runtime.rules import numbers as on_a_device
from teaspec.runtime.step import deciding, ranks
from tests.runtime.denoising import TIMESTEPS, Denoiser, equal
from tests.runtime.driving import choices, hooked, latents, signal
from tests.runtime.models import WIDTH, DualStream, extract_dual


def tensors(hook: Any) -> list[torch.Tensor]:
    return [tensor for state in hook.state_manager.states.values() for tensor in state.tensors()]


def test_bytes_held_counts_each_block_of_memory_once() -> None:
    whole = torch.zeros(10, 10)
    assert bytes_held([whole, whole[0], whole.t(), torch.zeros(3, dtype=torch.float16)]) == 400 + 6
    assert bytes_held([whole[0]]) == 400  # a view keeps all of it


def test_a_session_reports_what_it_holds() -> None:
    module, hook = hooked()
    session = hook.sessions.current()
    assert session.bytes_held == 0
    for step in range(3):
        module(latents(), signal(1.0), 3.0 - step)
    (session,) = hook.sessions.all
    assert session.bytes_held == 4 * (WIDTH + 3 * WIDTH)  # the signal, and the residual of three tokens
    module._reset_stateful_cache()
    assert session.bytes_held == 0


def test_residuals_may_wait_in_a_narrower_dtype() -> None:
    (plain, _), (module, hook) = (
        hooked(DualStream(), extract_dual, **kind) for kind in ({}, {"cache_dtype": torch.bfloat16})
    )
    module.load_state_dict(plain.state_dict())
    for level in (1.0, 1.1):
        expected = plain(latents(), latents(9), signal(level))
        found = module(latents(), latents(9), signal(level))
        torch.testing.assert_close(found, expected, rtol=0.02, atol=0.02)
        assert found.dtype == torch.float32
    assert choices(hook) == ["compute", "reuse"]
    (state,) = hook.state_manager.states.values()
    assert state.previous_residual.dtype == state.previous_residual_encoder.dtype == torch.bfloat16
    # Not residuals: the input is compared, the carried value is used as it is.
    assert state.previous_modulated_input.dtype == state.previous_live["live.scale"].dtype == torch.float32


def test_all_that_is_kept_moves_to_the_cache_device() -> None:
    module, hook = hooked(DualStream(), extract_dual, cache_device="meta")
    module(latents(), latents(9), signal(1.0))
    assert len(tensors(hook)) >= 4
    assert {tensor.device.type for tensor in tensors(hook)} == {"meta"}


def test_what_is_stored_comes_back_as_it_was() -> None:
    value = {"a": torch.ones(2, dtype=torch.float64), "b": [3, torch.arange(2)], "c": None}
    origin = origin_of(value)
    stored = Storage(torch.device("cpu"), torch.float16).put(value, is_residual=True)
    assert stored["a"].dtype == stored["b"][1].dtype == torch.float16
    back = fetch(stored, origin)
    assert (back["a"].dtype, back["b"][1].dtype, back["b"][0], back["c"]) == (torch.float64, torch.int64, 3, None)
    assert Storage().put(value, is_residual=True)["a"] is value["a"]


@pytest.mark.parametrize("settings", [{"cache_device": "cpu"}, {"cache_device": torch.device("cpu")}])
def test_the_device_alone_changes_no_bit(settings: dict[str, Any]) -> None:
    assert equal(Denoiser.make("flux", **settings).generate(1), Denoiser.make("flux").generate(1))


@pytest.mark.parametrize(
    "settings",
    [{"cache_device": "nowhere"}, {"cache_device": 1.5}, {"cache_dtype": torch.int8}, {"cache_dtype": "float16"}],
)
def test_bad_values_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"{next(iter(settings))} must be a .*, or None, found"):
        TeaCacheConfig(**settings)


def test_nothing_that_is_kept_holds_a_graph() -> None:
    module, hook = hooked(DualStream(), extract_dual, cache_dtype=torch.float16)
    for _ in range(2):
        module(latents(), latents(9), signal(1.0))
    assert module.blocks[0].mix.weight.requires_grad
    assert [(one.requires_grad, one.grad_fn) for one in tensors(hook)] == [(False, None)] * len(tensors(hook))


@pytest.fixture
def accelerator(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Has timesteps treated as if they were on an accelerator; notes each wait, by how many numbers it reads."""
    waits: list[int] = []

    def read(*numbers: Any) -> Any:
        given = sum(isinstance(number, torch.Tensor) for number in numbers)
        waits.extend([given] if given else [])
        return on_a_device.read(*numbers)

    for home in (moments, conditioning):
        monkeypatch.setattr(home, "costs_nothing_to_read", lambda tensor: False)
    for home in (ranks, deciding):
        monkeypatch.setattr(home, "read", read)
    return waits


@pytest.mark.parametrize("naming", ["context", "step", "branch"])
def test_a_named_call_waits_for_an_accelerator_once(naming: str, accelerator: list[int]) -> None:
    denoiser = Denoiser.make("flux")
    denoiser.generate(1, naming)
    # The timestep; and where there is a step before, the distance and the conditioning with it.
    wanted = {"first call": 1, "distance": 3, "last step": 2}
    assert accelerator == [wanted[one.reason] for one in denoiser.hook.decisions]
    assert len(accelerator) == 2 * len(TIMESTEPS)


@pytest.mark.parametrize("naming", ["context", "step", "branch", "paired", "counted"])
def test_reading_late_decides_alike(naming: str, accelerator: list[int], monkeypatch: pytest.MonkeyPatch) -> None:
    late = Denoiser.make("flux")
    calls = late.calls(1, naming)
    for _ in range(5):  # broken off, so that the next generation has to be noticed
        next(calls)
    found = late.generate(2, naming)
    monkeypatch.undo()
    early = Denoiser.make("flux")
    assert equal(found, early.generate(2, naming))
    assert late.hook.decisions == early.hook.decisions
