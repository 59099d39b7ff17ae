from __future__ import annotations

import logging
import re
from typing import Any

import pytest
import torch
from diffusers.hooks.hooks import ModelHook, StateManager

from teaspec import Defaults, TeaCacheConfig, TeaCacheHook, TeaCacheState, apply_teacache_hook, register_extractor
from teaspec.runtime.pipeline.apply import find_teacache_hook
from tests.runtime.driving import IDENTITY, choices, hooked, latents, reasons, signal
from tests.runtime.models import (
    WIDTH,
    SingleStream,
    extract_single,
)


def test_it_is_a_stateful_hook_of_diffusers() -> None:
    _, hook = hooked()
    assert isinstance(hook, ModelHook)
    assert hook._HOOK_NAME == "teacache"
    assert hook._is_stateful is True
    assert isinstance(hook.state_manager, StateManager)
    assert hook.extractor_fn is extract_single
    assert hook.rescale_func(0.3) == 0.3


def test_computed_steps_equal_the_forward_and_reused_steps_run_no_block() -> None:
    plain, (module, hook) = SingleStream(), hooked()
    module.load_state_dict(plain.state_dict())
    with torch.no_grad():
        first = module(latents(), signal(1.0))
        assert torch.equal(first, plain(latents(), signal(1.0)))
        reused = module(latents(1), signal(1.1))
        assert module.steps_computed == 1
        entry, entry_before = module.embed(latents(1)), module.embed(latents())
        hidden = entry_before
        for block in plain.blocks:
            hidden = block(hidden, signal(1.0).mean())
        assert torch.equal(reused, module.head(entry + (hidden - entry_before)))
        computed = module(latents(2), signal(2.0))
        assert torch.equal(computed, plain(latents(2), signal(2.0)))
    assert choices(hook) == ["compute", "reuse", "compute"]


def test_the_previous_input_is_updated_on_reused_steps_too() -> None:
    module, hook = hooked(thresh=0.25)
    for level in (1.0, 1.1, 1.21, 1.331):
        module(latents(), signal(level))
    # Against the last computed step the third would measure 0.21 and the fourth 0.331.
    assert [decision.distance for decision in hook.decisions[1:]] == pytest.approx([0.1, 0.1, 0.1], rel=1e-5)
    assert choices(hook) == ["compute", "reuse", "reuse", "compute"]


def test_state_holds_what_is_documented_and_nothing_for_streams_that_are_not_live() -> None:
    module, hook = hooked()
    module(latents(), signal(1.0), timestep=1.0)
    module(latents(), signal(1.25), timestep=0.5)
    (state,) = hook.state_manager.states.values()
    assert isinstance(state, TeaCacheState)
    assert state.cnt == 2
    assert state.accumulated_rel_l1_distance == 0.25
    assert torch.equal(state.previous_modulated_input, signal(1.25))
    assert state.previous_residual.shape == (1, 3, WIDTH)
    assert state.previous_residual_encoder is None
    assert state.previous_live == {}
    state.reset()
    empty = TeaCacheState()
    assert vars(state.earlier) == vars(empty.earlier)
    assert vars(state.conditioning) == vars(empty.conditioning)
    assert vars(state) == {**vars(empty), "earlier": state.earlier, "conditioning": state.conditioning}


@pytest.mark.parametrize(
    ("hidden", "level"),
    [
        (latents(tokens=5), signal(1.0)),
        (latents().double(), signal(1.0)),
        (latents(), signal(1.0, width=2)),
        (latents(), signal(1.0).double()),
    ],
    ids=["shape", "dtype", "signal shape", "signal dtype"],
)
def test_a_changed_layout_is_another_branch_of_the_generation(hidden: torch.Tensor, level: torch.Tensor) -> None:
    module, hook = hooked()
    module(latents(), signal(1.0))
    module.to(hidden.dtype)(hidden, level)
    module(hidden, level)
    assert [one.branch for one in hook.decisions] == ["#0", "#0:1", "#0:1"]
    assert choices(hook) == ["compute", "compute", "reuse"]
    assert reasons(hook)[:2] == ["first call", "first call"]


def test_a_distance_that_is_not_finite_computes_and_warns_once(caplog: pytest.LogCaptureFixture) -> None:
    module, hook = hooked()
    with caplog.at_level(logging.WARNING):
        for level in (1.0, float("nan"), float("nan"), 1.0, 1.0):
            module(latents(), signal(level))
    assert choices(hook) == ["compute"] * 4 + ["reuse"]
    assert reasons(hook)[1:4] == ["non-finite distance"] * 3
    assert len([record for record in caplog.records if "not finite" in record.message]) == 1


def test_an_extractor_that_returns_something_else_is_named() -> None:
    module, _ = hooked(extractor=lambda module, *args: torch.ones(1))
    with pytest.raises(TypeError, match="extractor for SingleStream must return a CacheContext, found a Tensor"):
        module(latents(), signal(1.0))


def test_blocks_that_return_another_shape_are_refused_before_they_broadcast() -> None:
    def extract(module: SingleStream, *args: Any) -> Any:
        context = extract_single(module, *args)
        context.run_transformer_blocks = lambda: (torch.ones(1, 1, WIDTH),)
        return context

    module, _ = hooked(extractor=extract)
    with pytest.raises(RuntimeError, match="must keep the shape"):
        module(latents(), signal(1.0))


def test_every_step_is_logged(caplog: pytest.LogCaptureFixture) -> None:
    module, _ = hooked()
    with caplog.at_level(logging.DEBUG, logger="teaspec"):
        module(latents(), signal(1.0))
        module(latents(), signal(1.25))
    lines = [record.message for record in caplog.records]
    assert re.match(r"TeaCache branch=#0 step=0 decision=compute reason=first call", lines[0])
    numbers = "distance=0.25 rescaled=0.25 accumulated=0.25"
    assert lines[1] == f"TeaCache branch=#0 step=1 decision=reuse {numbers} reason=distance"


def test_accumulation_and_coefficients_come_from_the_defaults_unless_given() -> None:
    defaults = Defaults((0.0, 0.0, 0.0, -2.0, 0.0), "absolute", "published", "somewhere")
    register_extractor("SingleStream", extract_single, defaults)
    for config, expected in (
        (TeaCacheConfig(), (0.2, [0.0, 0.0, 0.0, -2.0, 0.0], "SingleStream", "absolute")),
        (TeaCacheConfig(0.3, IDENTITY, accumulate="signed"), (0.3, IDENTITY, "SingleStream", "signed")),
    ):
        before = vars(config).copy()
        module = SingleStream()
        apply_teacache_hook(module, config)
        resolved = find_teacache_hook(module).config
        assert vars(config) == before
        assert resolved is not config
        found = (resolved.rel_l1_thresh, resolved.coefficients, resolved.transformer_type, resolved.accumulate)
        assert found == expected


def test_signed_and_absolute_accumulation_decide_differently() -> None:
    counts = {}
    for accumulate in ("signed", "absolute"):
        module = SingleStream()
        register_extractor("SingleStream", extract_single)
        apply_teacache_hook(module, TeaCacheConfig(0.25, [0, 0, 0, -1, 0], accumulate=accumulate))
        for level in (1.0, 1.2, 1.44, 1.73):
            module(latents(), signal(level))
        counts[accumulate] = find_teacache_hook(module).counts["#0"].reused
    assert counts == {"signed": 3, "absolute": 2}


@pytest.mark.parametrize("defaults", [None, Defaults()])
def test_a_type_without_coefficients_warns_that_it_is_uncalibrated(
    defaults: Defaults | None, caplog: pytest.LogCaptureFixture
) -> None:
    register_extractor("SingleStream", extract_single, defaults)
    with caplog.at_level(logging.WARNING):
        module = SingleStream()
        apply_teacache_hook(module)
        apply_teacache_hook(SingleStream(), TeaCacheConfig(coefficients=IDENTITY))
    assert find_teacache_hook(module).config.coefficients == IDENTITY
    assert ["uncalibrated" in record.message for record in caplog.records] == [True]


def test_a_hook_on_no_module_says_so() -> None:
    with pytest.raises(RuntimeError, match="use apply_teacache_hook"):
        TeaCacheHook().new_forward(SingleStream(), latents(), signal(1.0))
