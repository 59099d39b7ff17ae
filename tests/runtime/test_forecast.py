"""Residuals that are forecast: where they lie on a line they are found, whatever the model."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import teaspec
from teaspec import TeaCacheConfig, TeaCacheHook, apply_teacache_hook
from teaspec.proof.compare import named_tensors
from teaspec.runtime.contract.streams import streams_of
from teaspec.runtime.pipeline.apply import find_teacache_hook, remove_teacache_hook
from teaspec.runtime.rules.forecast import Forecast, ratio_of
from tests.runtime.denoising import Denoiser, equal
from tests.runtime.driving import hooked, latents, signal
from tests.runtime.models import DualStream, UntimedStream, extract_dual, extract_single
from tests.runtime.timed import Timed

REUSE = {"coefficients": [0.0] * 5, "accumulate": "signed"}
"""Whatever is not forced is reused."""


@pytest.mark.parametrize(
    ("before", "last", "now", "expected"),
    [
        (1000, 900, 850, 0.5),
        (0.1, 0.2, 0.25, 0.5),
        (1000, 900, 800, 1.0),
        (1000, 900, 100, 1.0),  # two computed steps side by side give a noisy slope
        (1000, 900, 900, 0.0),
        (1000, 900, 950, 0.0),
        (900, 900, 800, 0.0),
        (None, 900, 800, 0.0),
        (1000, None, 800, 0.0),
        (1000, 900, None, 0.0),
        (1000, 900, math.nan, 0.0),
        (1e308, -1e308, -1.5e308, 0.0),
    ],
)
def test_how_far_the_line_is_followed(before: Any, last: Any, now: Any, expected: float) -> None:
    assert ratio_of(before, last, now, limit=1.0) == pytest.approx(expected)


@pytest.mark.parametrize(("limit", "expected"), [(0.0, 0.0), (0.5, 0.5), (1.0, 0.75), (2.0, 0.75)])
def test_the_line_is_followed_to_the_limit(limit: float, expected: float) -> None:
    assert ratio_of(1000, 900, 825, limit) == pytest.approx(expected)


@pytest.mark.parametrize("limit", [-0.5, math.nan, math.inf, "1", True, None])
def test_the_limit_is_a_number(limit: Any) -> None:
    with pytest.raises(ValueError, match="residual_limit must be a finite number of at least 0, found"):
        TeaCacheConfig(residual_limit=limit, coefficients=[0.0] * 5)


@pytest.mark.parametrize("order", [2, -1, True, 1.0, "1", None])
def test_the_order_is_0_or_1(order: Any) -> None:
    with pytest.raises(ValueError, match="residual_order must be 0 or 1, found"):
        TeaCacheConfig(residual_order=order, coefficients=[0.0] * 5)


class Lines:
    """An extractor whose blocks move every stream along a line in time."""

    def __init__(self, extractor: Callable[..., Any]) -> None:
        self.extractor = extractor
        self.time = 0.0
        self.computed = 0
        self._carried: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self.extractor, name)

    def __call__(self, module: Any, *args: Any, **kwargs: Any) -> Any:
        return self._on_lines(self.extractor(module, *args, **kwargs))

    def enter(self, module: Any, args: Any, kwargs: Any, drive: Any) -> Any:
        return self.extractor.enter(module, args, kwargs, lambda cut: drive(self._on_lines(cut)))

    def _on_lines(self, context: Any) -> Any:
        streams, blocks = streams_of(context), context.run_transformer_blocks

        def run() -> tuple[Any, ...]:
            self.computed += 1
            values = blocks()
            return tuple(self._moved(stream, value) for stream, value in zip(streams, values, strict=True))

        return replace(context, run_transformer_blocks=run)

    def _moved(self, stream: Any, value: Any) -> Any:
        if stream.entry is None:  # carried over as it is, so it must not change for the outputs to agree
            return self._carried.setdefault(stream.key, value)
        generator = torch.Generator().manual_seed(len(stream.key))
        start, slope = (torch.randn(stream.entry.shape, generator=generator) for _ in range(2))
        return stream.entry + (start + self.time * slope).to(value.dtype)


class OnLines(Timed):
    """A tiny model of a spec whose streams move along lines."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.lines = Lines(self.extractor)

    def hook(self, order: int, **settings: Any) -> TeaCacheHook:
        config = TeaCacheConfig(rel_l1_thresh=1.0, residual_order=order, **{**REUSE, **settings})
        apply_teacache_hook(self.module, config, extractor=self.lines)
        hook = find_teacache_hook(self.module)
        assert hook is not None
        return hook

    def call(self, time: float) -> list[torch.Tensor]:
        """Calls the model; time runs down from 1 to 0."""
        self.lines.time = time
        arguments = self.arguments(time)
        with torch.no_grad(), teaspec.branch("cond"):
            output = self.module(*arguments.args, **arguments.kwargs)
        return [tensor for _, tensor in named_tensors(output)]

    def generate(self, times: tuple[float, ...], order: int, **settings: Any) -> list[list[torch.Tensor]]:
        self.hook(order, **settings)
        try:
            return [self.call(time) for time in times]
        finally:
            remove_teacache_hook(self.module)


@pytest.fixture(scope="module", params=["flux", "consisid", "ltx2", "kandinsky6", "minimax_h3"])
def timed(request: pytest.FixtureRequest) -> OnLines:
    return OnLines(request.param)


TIMES = (1.0, 0.875, 0.75, 0.625)


def test_residuals_on_a_line_are_forecast_exactly(timed: OnLines) -> None:
    truth = timed.generate(TIMES, order=1, warmup_steps=4)
    found = timed.generate(TIMES, order=1, warmup_steps=2)
    last = timed.generate(TIMES, order=0, warmup_steps=2)
    for expected, forecast, added in zip(truth[2], found[2], last[2], strict=True):
        torch.testing.assert_close(forecast, expected, rtol=1e-4, atol=1e-5)
        assert (added - expected).abs().max() > 100 * (forecast - expected).abs().max()


def test_the_line_is_not_followed_further_than_the_two_computed_steps_are_apart(timed: OnLines) -> None:
    far = timed.generate((1.0, 0.875, 0.25), order=1, warmup_steps=2)[2]
    # The prelude sees another timestep, the residual is the one at 0.75.
    near = timed.hook(order=1, warmup_steps=2)
    try:
        for time in (1.0, 0.875):
            timed.call(time)
        (state,) = near.state_manager.states.values()
        at = {key: torch.lerp(before, _residual(state, key), 2.0) for key, before in state.earlier.residuals.items()}
        state.previous_residual = at.get("hidden_states", state.previous_residual)
        state.previous_residual_encoder = at.get("encoder_hidden_states", state.previous_residual_encoder)
        near.config.residual_order = 0
        assert equal(timed.call(0.25), far)
    finally:
        remove_teacache_hook(timed.module)


def test_a_limit_stops_the_line_where_it_says(timed: OnLines) -> None:
    """Residuals on a line in time: at the limit they are those of the time that lies there."""
    at_half = timed.generate((1.0, 0.5, 0.25), order=1, warmup_steps=2)
    limited = timed.generate((1.0, 0.5, 0.25), order=1, warmup_steps=2, residual_limit=0.5)
    assert all(map(equal, at_half, limited))
    quarter = timed.generate((1.0, 0.5, 0.25), order=1, warmup_steps=2, residual_limit=0.25)
    assert not equal(at_half[2], quarter[2])
    none = timed.generate((1.0, 0.5, 0.25), order=1, warmup_steps=2, residual_limit=0.0)
    last = timed.generate((1.0, 0.5, 0.25), order=0, warmup_steps=2)
    assert equal(none[2], last[2])


class Curves(Lines):
    """Blocks that move every stream along a parabola in time."""

    def _moved(self, stream: Any, value: Any) -> Any:
        moved = super()._moved(stream, value)
        if stream.entry is None:
            return moved
        generator = torch.Generator().manual_seed(1000 + len(stream.key))
        return moved + (self.time**2 * torch.randn(stream.entry.shape, generator=generator)).to(value.dtype)


@pytest.mark.parametrize("name", ["flux", "ltx2"])
def test_residuals_on_a_parabola_are_forecast_exactly_in_every_stream(name: str) -> None:
    """Goes red with two of the three weights exchanged, and where the third computed step is not kept."""
    timed = OnLines(name)
    timed.lines = Curves(timed.extractor)
    times = (1.0, 0.875, 0.8125, 0.75, 0.6875)  # unevenly spaced
    truth = timed.generate(times, order=0, warmup_steps=5)
    exact = timed.generate(times, order=0, warmup_steps=3, forecast="parabola", residual_limit=2.0)
    line, blend = (
        timed.generate(times, order=0, warmup_steps=3, forecast=kind, residual_limit=2.0) for kind in ("line", "blend")
    )
    for step in (3, 4):
        for expected, found, straight, half in zip(truth[step], exact[step], line[step], blend[step], strict=True):
            torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-4)
            assert (straight - expected).abs().max() > (half - expected).abs().max() > 1e-3


def test_with_two_computed_steps_a_parabola_is_a_line() -> None:
    timed = OnLines("flux")
    found = (timed.generate(TIMES, order=0, warmup_steps=2, forecast=kind) for kind in ("line", "parabola", "blend"))
    line, *others = found
    assert all(all(map(equal, line, other)) for other in others)
    assert all(map(equal, line, timed.generate(TIMES, order=1, warmup_steps=2)))


@given(
    steps=st.lists(st.floats(0.1, 1.0), min_size=3, max_size=3),
    share=st.floats(0, 1),
    curve=st.tuples(*[st.floats(-2, 2)] * 3),
)
def test_the_weights_are_those_of_the_polynomials_through_the_points(
    steps: list[float], share: float, curve: tuple[float, float, float]
) -> None:
    """The oracle is numpy's fit, which knows no weights."""
    ahead, near, far = steps
    times, now = [0.0, near, near + far], -min(ahead, near)
    values = [float(np.polyval(curve, time)) for time in times]
    (line, both) = Forecast(3, share, limit=1.0).weights(times, now)
    expected = [float(np.polyval(np.polyfit(times[:count], values[:count], count - 1), now)) for count in (2, 3)]
    assert sum(line) == pytest.approx(1) == sum(both)
    assert sum(w * v for w, v in zip(line, values[:2], strict=True)) == pytest.approx(expected[0], rel=1e-6, abs=1e-6)
    blended = (1 - share) * expected[0] + share * expected[1]
    assert sum(w * v for w, v in zip(both, values, strict=True)) == pytest.approx(blended, rel=1e-4, abs=1e-4)


@pytest.mark.parametrize("times", [[2.0, 1.0, 3.0], [2.0, 1.0, None], [2.0, 1.0, 1.0], [2.0, 1.0, math.inf]])
def test_where_the_third_step_is_of_no_use_it_is_a_line(times: list[float | None]) -> None:
    assert Forecast(3, 1.0).weights(times, 2.5) == ((1.5, -0.5),)
    assert Forecast(3, 1.0).weights([times[0], None], 2.5) == Forecast().weights(times, 2.5) == ()


def test_each_point_is_one_more_residual_in_memory() -> None:
    held = {}
    for kind in ("last", "line", "parabola", "blend"):
        timed = OnLines("flux")
        hook = timed.hook(0, forecast=kind, warmup_steps=9)
        for time in (1.0, 0.875, 0.75, 0.625, 0.5):
            timed.call(time)
        held[kind] = teaspec.stats(timed.module).bytes_held
        (state,) = hook.state_manager.states.values()
        residual = state.previous_residual.nbytes
        remove_teacache_hook(timed.module)
    assert [(held[kind] - held["last"]) / residual for kind in held] == [0, 1, 2, 2]


@pytest.mark.parametrize(
    ("settings_", "message"),
    [
        ({"forecast": "cubic"}, "forecast must be 'last', 'line', 'parabola', 'blend' or None, found 'cubic'"),
        ({"forecast": "line", "residual_order": 1}, "forecast='line' and residual_order=1 each say"),
    ],
)
def test_a_forecast_that_is_none_is_refused(settings_: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TeaCacheConfig(**settings_)


def _residual(state: Any, key: str) -> torch.Tensor:
    return {"hidden_states": state.previous_residual, "encoder_hidden_states": state.previous_residual_encoder}[key]


def test_every_live_stream_has_one_more_residual_and_nothing_else(timed: OnLines) -> None:
    held = {}
    for order in (0, 1):
        hook = timed.hook(order, warmup_steps=2)
        try:
            for time in (1.0, 0.875):
                timed.call(time)
            (state,) = hook.state_manager.states.values()
            residuals = [state.previous_residual, state.previous_residual_encoder]
            held[order] = teaspec.stats(timed.module).bytes_held
            assert len(state.earlier.residuals) == (sum(one is not None for one in residuals) if order else 0)
        finally:
            remove_teacache_hook(timed.module)
    assert held[1] - held[0] == sum(one.nbytes for one in residuals if one is not None)


def test_with_one_computed_step_it_is_order_0(timed: OnLines) -> None:
    assert all(map(equal, *(timed.generate(TIMES, order, warmup_steps=1) for order in (0, 1))))


@settings(max_examples=6, deadline=None, derandomize=True)
@given(data=st.data())
def test_any_computed_and_reused_steps_on_a_line(data: st.DataObject, timed: OnLines) -> None:
    """Where the ratio stays within its bound, order 1 equals the uncached forward at every step."""
    gaps = data.draw(st.lists(st.integers(1, 6), min_size=3, max_size=5))
    times = tuple(1 - sum(gaps[:count]) / 40 for count in range(len(gaps) + 1))  # whole numbers, times a thousand
    limit = data.draw(st.integers(1, 2))
    timed.lines.computed = 0
    truth = timed.generate(times, order=1, warmup_steps=len(times))
    assert timed.lines.computed == len(times)
    found = timed.generate(times, order=1, warmup_steps=2, max_consecutive_reuses=limit)
    computed = [0, 1, *(step for step in range(2, len(times)) if (step - 1) % (limit + 1) == 0)]
    assert timed.lines.computed == len(times) + len(computed)
    for step, time in enumerate(times):
        before = [times[one] for one in computed if one <= step][-2:]
        if step in computed or (before[1] - time) <= before[0] - before[1]:
            for expected, forecast in zip(truth[step], found[step], strict=True):
                torch.testing.assert_close(forecast, expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("kind", ["flux", "wan"])
def test_order_0_is_as_it_was(kind: str) -> None:
    plain, hooked_ = Denoiser.make(kind), Denoiser.make(kind, residual_order=0)
    assert equal(plain.generate(1), hooked_.generate(1))
    for state in hooked_.hook.state_manager.states.values():
        assert not state.earlier.residuals


@pytest.mark.parametrize("naming", ["context", "step", "branch", "paired", "counted"])
def test_branches_have_lines_of_their_own(naming: str) -> None:
    """Both branches in one generation give what each gives by itself."""
    settings_ = {"residual_order": 1, "max_consecutive_reuses": 1, "rel_l1_thresh": 10.0, "warmup_steps": 2}
    both = Denoiser.make("flux", **settings_)
    found = both.generate(1, naming)
    order_0 = Denoiser.make("flux", **{**settings_, "residual_order": 0}).generate(1, naming)
    assert equal(found[:4], order_0[:4])  # two computed steps of each
    assert not any(map(torch.equal, found[4:6], order_0[4:6]))
    for state in both.hook.state_manager.states.values():
        assert state.earlier.at == pytest.approx(0.95)


def test_sessions_have_lines_of_their_own() -> None:
    settings_ = {"residual_order": 1, "rel_l1_thresh": 10.0, "warmup_steps": 2}
    alone = [Denoiser.make("flux", **settings_).generate(seed) for seed in (1, 2)]
    both = Denoiser.make("flux", **settings_)
    running = [both.calls(seed) for seed in (1, 2)]
    turns: list[list[torch.Tensor]] = [[], []]
    for _ in range(8):
        for number, calls in enumerate(running):
            with teaspec.session(number):
                turns[number].append(next(calls))
    assert all(map(equal, turns, alone))


def test_an_exception_leaves_the_line_as_it_was() -> None:
    settings_ = {"residual_order": 1, "rel_l1_thresh": 10.0, "warmup_steps": 3}
    undisturbed = Denoiser.make("flux", **settings_).generate(1)
    disturbed = Denoiser.make("flux", **settings_)

    def fail(*_: Any) -> None:
        raise KeyboardInterrupt

    calls: Iterator[torch.Tensor] = disturbed.calls(1)
    found = [next(calls) for _ in range(4)]
    before = dict(disturbed.hook.state_manager.states)
    handle = disturbed.model.proj_out.register_forward_pre_hook(fail)
    with pytest.raises(KeyboardInterrupt):
        next(calls)
    handle.remove()
    after = disturbed.hook.state_manager.states
    assert all(after[name] is state and state.earlier is before[name].earlier for name, state in before.items())
    again = disturbed.generate(1)  # what follows a fault equals a fresh generation
    assert equal(again, undisturbed)
    assert equal(found, undisturbed[:4])


def test_a_forecast_from_a_narrower_dtype_on_another_device() -> None:
    settings_ = {"residual_order": 1, "rel_l1_thresh": 10.0, "warmup_steps": 2}
    exact = Denoiser.make("flux", **settings_).generate(1)
    narrow = Denoiser.make("flux", cache_dtype=torch.bfloat16, cache_device="cpu", **settings_)
    found = narrow.generate(1)
    for state in narrow.hook.state_manager.states.values():
        assert [one.dtype for one in state.earlier.residuals.values()] == [torch.bfloat16]
    for close, expected in zip(found, exact, strict=True):
        torch.testing.assert_close(close, expected, rtol=0.05, atol=0.05)
    assert not equal(found[4:], exact[4:])


def test_without_a_timestep_the_steps_are_counted() -> None:
    module, hook = hooked(UntimedStream(), extract_single, residual_order=1)
    with torch.no_grad():
        for level in (1.0, 2.0, 2.1):  # a change by all of it computes, a small one reuses
            module(latents(), signal(level))
    (state,) = hook.state_manager.states.values()
    assert (state.earlier.at, state.computed_at, state.cnt) == (0.0, 1.0, 3)


def test_values_carried_over_have_no_line() -> None:
    module, hook = hooked(DualStream(), extract_dual, residual_order=1)
    with torch.no_grad():
        for level in (1.0, 2.0):
            module(latents(), latents(9), signal(level))
    (state,) = hook.state_manager.states.values()
    assert sorted(state.earlier.residuals) == ["encoder_hidden_states", "hidden_states"]


def test_a_dtype_that_changes_within_a_generation_has_no_line() -> None:
    dtypes = iter([torch.float32, torch.bfloat16, torch.bfloat16])

    def extract(module: Any, *args: Any) -> Any:
        context: Any = extract_single(module, *args)
        blocks = context.run_transformer_blocks
        context.run_transformer_blocks = lambda: (blocks()[0].to(next(dtypes)),)
        context.postprocess = lambda hidden: hidden
        return context

    outputs = {}
    for order in (0, 1):
        dtypes = iter([torch.float32, torch.bfloat16])
        torch.manual_seed(0)
        module, _ = hooked(extractor=extract, residual_order=order)
        with torch.no_grad():
            outputs[order] = [module(latents(), signal(level), level) for level in (1.0, 2.0, 2.1)]
    assert equal(outputs[0], outputs[1])


def test_the_order_may_change_between_calls() -> None:
    module, hook = hooked(residual_order=1)
    with torch.no_grad():
        module(latents(), signal(1.0), 3.0)
        module(latents(), signal(2.0), 2.0)
        assert len(hook.state_manager.states["#0"].earlier.residuals) == 1
        hook.config.residual_order = 0
        module(latents(), signal(4.0), 1.0)
    assert not hook.state_manager.states["#0"].earlier.residuals
