"""Which threshold a transformer gets where none is given, and what is said of one that nobody has tried."""

from __future__ import annotations

import copy
import logging
import pickle
from dataclasses import replace
from types import SimpleNamespace

import pytest
from diffusers import FlowMatchEulerDiscreteScheduler

import teaspec
from teaspec import Calibration, Defaults, TeaCacheBackend, TeaCacheConfig, apply_teacache_hook, register_extractor
from teaspec.runtime.calibrations.thresholds import Threshold, pick
from teaspec.runtime.pipeline.apply import find_teacache_hook
from tests.runtime.models import SingleStream, extract_single

IDENTITY = (0.0, 0.0, 0.0, 1.0, 0.0)
PUBLISHED = (Threshold(0.05, 1.5), Threshold(0.07, 1.6, "on one card", "a paper"), Threshold(0.08, 2.1))


def register(*thresholds: Threshold, **variants: Calibration) -> None:
    facts = {"status": "published", "source": "the base", "thresholds": thresholds}
    register_extractor("SingleStream", extract_single, Defaults(IDENTITY, **facts, variants=variants))


def enabled(**settings: object) -> TeaCacheConfig:
    module = SingleStream()
    teaspec.enable(module, **settings)
    return find_teacache_hook(module).config


def applied(config: TeaCacheConfig | None) -> TeaCacheConfig:
    module = SingleStream()
    apply_teacache_hook(module, config)
    return find_teacache_hook(module).config


@pytest.mark.parametrize(("preset", "value"), [("quality", 0.05), ("balanced", 0.07), ("fast", 0.08), (None, 0.07)])
def test_a_preset_is_the_threshold_with_the_nearest_speed_up(preset: str | None, value: float) -> None:
    """Mutation: `enable` takes `fast` where it is given nothing; or `pick` returns the first."""
    register(*PUBLISHED)
    assert enabled(**({} if preset is None else {"preset": preset})).rel_l1_thresh == value


def test_of_several_with_one_speed_up_the_lowest_is_taken() -> None:
    """Mutation: `_rising` takes them as they are listed."""
    assert pick((Threshold(0.08, 1.6), Threshold(0.07, 1.6)), "balanced").thresh == 0.07
    assert pick((Threshold(0.4, 1.8), Threshold(0.3, 1.4)), "balanced").thresh == 0.3  # 0.2 from either side


def test_sources_that_disagree_make_no_preset_slower_than_a_better_one() -> None:
    """Wan I2V 720p. Mutation: `_rising` keeps all of them; then `quality` is 0.25, and `fast` 0.2."""
    told = (Threshold(0.18, 1.7), Threshold(0.2, 1.9), Threshold(0.3, 2.4), Threshold(0.25, 1.6))
    assert [pick(told, preset).thresh for preset in ("quality", "balanced", "fast")] == [0.18, 0.18, 0.2]


def test_where_no_speed_up_is_told_the_order_counts() -> None:
    """Mutation: `balanced` is the last one."""
    told = (Threshold(0.3), Threshold(0.1), Threshold(0.2))
    assert [pick(told, preset).thresh for preset in ("quality", "balanced", "fast")] == [0.1, 0.2, 0.3]
    assert pick((), "fast") is None


def test_one_line_says_what_and_why(caplog: pytest.LogCaptureFixture) -> None:
    """Mutation: the line leaves out the source of the threshold."""
    register(*PUBLISHED)
    with caplog.at_level(logging.INFO, "teaspec"):
        enabled()
    (line,) = (record.getMessage() for record in caplog.records if "rel_l1_thresh" in record.getMessage())
    assert line == (
        "TeaCache on SingleStream, variant base: rel_l1_thresh 0.07, published with a speed-up of 1.6, the nearest to "
        "1.6 (preset balanced; on one card; a paper)"
    )


def test_the_variant_in_use_decides() -> None:
    """Mutation: the base set's thresholds are taken, whatever the variant."""
    register(*PUBLISHED, large=Calibration(IDENTITY, status="published", thresholds=(Threshold(0.4, 1.6),)))
    assert enabled(variant="large").rel_l1_thresh == 0.4
    assert enabled(variant="large", accumulate="absolute").rel_l1_thresh == 0.2  # published for signed sums


def test_where_nothing_is_published_the_documented_default_is_taken_and_that_is_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Mutation: nothing is logged where `pick` finds nothing."""
    register()
    with caplog.at_level(logging.INFO, "teaspec"):
        assert enabled().rel_l1_thresh == 0.2
    assert "rel_l1_thresh 0.2, the documented default, for no threshold is published" in caplog.text


def test_what_is_given_is_taken() -> None:
    """Mutation: `enable` adds its preset to a threshold that was given; then it is refused."""
    register(*PUBLISHED)
    assert enabled(rel_l1_thresh=0.06).rel_l1_thresh == 0.06
    assert enabled(coefficients=list(IDENTITY)).rel_l1_thresh == 0.2
    backend = TeaCacheBackend({"preset": "fast"})
    module = SingleStream()
    backend.enable(module)
    assert find_teacache_hook(module).config.rel_l1_thresh == 0.08


def test_two_thresholds_are_one_too_many() -> None:
    """Mutation: `refuse_several` knows no preset; `refuse_preset` at nothing."""
    register(*PUBLISHED)
    with pytest.raises(
        ValueError, match=r"rel_l1_thresh=0\.1 and preset='fast' each say what decides; give one of them"
    ):
        TeaCacheConfig(0.1, preset="fast")
    with pytest.raises(ValueError, match="preset must be 'quality', 'balanced', 'fast' or None, found 'faster'"):
        enabled(preset="faster")
    with pytest.raises(ValueError, match="coefficients of your own; give rel_l1_thresh"):
        enabled(preset="fast", coefficients=list(IDENTITY))


def test_the_documented_default_stays_and_is_warned_of_where_it_is_outside(caplog: pytest.LogCaptureFixture) -> None:
    """Mutation: `_warn` returns at once; then 0.2 is used in silence where 0.05 to 0.08 are published."""
    register(*PUBLISHED)
    assert TeaCacheConfig().rel_l1_thresh == 0.2
    assert applied(None).rel_l1_thresh == applied(TeaCacheConfig()).rel_l1_thresh == 0.2
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]  # one for each that was applied
    assert "rel_l1_thresh=0.2, the documented default, but those published are 0.05 to 0.08" in caplog.text
    assert "preset='balanced' is 0.07" in caplog.text
    caplog.clear()
    register(Threshold(0.1), Threshold(0.3))
    applied(None)
    assert not caplog.records


@pytest.mark.parametrize(("value", "warned"), [(0.02, False), (0.01, True), (0.16, False), (0.17, True), (40, True)])
def test_a_value_far_outside_is_warned_of(value: float, warned: bool, caplog: pytest.LogCaptureFixture) -> None:
    """Mutation: `_FAR_BELOW` and `_FAR_ABOVE` are 1."""
    register(*PUBLISHED)
    assert applied(TeaCacheConfig(value)).rel_l1_thresh == value
    assert ("it reuses " in caplog.text) == warned


@pytest.mark.parametrize(("value", "warned"), [(1.5, False), (40, True), (1e9, True)])
def test_beyond_any_use(value: float, warned: bool, caplog: pytest.LogCaptureFixture) -> None:
    """Mutation: `_BEYOND_USE` is infinite."""
    register()
    applied(TeaCacheConfig(value))
    assert (
        "reuses nearly every step; thresholds that were published for any model are below 2" in caplog.text
    ) == warned
    caplog.clear()
    applied(TeaCacheConfig(value, list(IDENTITY)))  # on a scale of one's own any value may be right
    assert not caplog.records


def test_that_it_was_not_given_survives_copies_and_settled_configs_are_ordinary() -> None:
    """Mutation: `NotGivenNumber` is a plain float; then a preset beside the default is refused."""
    config = TeaCacheConfig()
    for twin in (copy.deepcopy(config), pickle.loads(pickle.dumps(config)), replace(config, start=0.1)):
        assert not twin.is_threshold_given
        assert replace(twin, preset="fast").preset == "fast"
    register(*PUBLISHED)
    settled = enabled()
    assert settled.is_threshold_given
    assert applied(settled).rel_l1_thresh == 0.07


def test_a_pipeline_without_published_thresholds_gets_a_budget(caplog: pytest.LogCaptureFixture) -> None:
    """Goes red where `enable` looks for no scheduler; a budget could not be kept without one."""
    register_extractor("SingleStream", extract_single)
    pipe = SimpleNamespace(transformer=SingleStream(), scheduler=FlowMatchEulerDiscreteScheduler())
    with caplog.at_level("INFO", "teaspec"):
        teaspec.enable(pipe)
    hook = find_teacache_hook(pipe.transformer)
    assert hook is not None
    assert (hook.rule, hook.config.preset, hook.config.coefficients) == (teaspec.Budget(0.5), None, None)
    (line,) = (record.getMessage() for record in caplog.records if record.getMessage().count("budget"))
    assert "uncalibrated" not in caplog.text
    assert line.startswith("TeaCache on SingleStream, variant base: budget 0.5, so that every other step is computed")
    teaspec.disable(pipe)
    teaspec.enable(pipe, coefficients=list(IDENTITY))
    assert find_teacache_hook(pipe.transformer).rule == teaspec.Threshold(0.2)
    teaspec.disable(pipe)
    assert enabled().rel_l1_thresh == 0.2  # a transformer alone
