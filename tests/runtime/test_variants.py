"""Which calibration a model gets: asked for, told by its config, or the base set. With diffusers' own classes."""

from __future__ import annotations

import copy
import logging
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import FluxTransformer2DModel, WanTransformer3DModel

from teaspec import (
    Calibration,
    Defaults,
    TeaCacheBackend,
    TeaCacheConfig,
    apply_teacache_hook,
    compile_spec,
    load_spec,
    register_extractor,
    remove_teacache_hook,
)
from teaspec.catalog import SpecExtractor
from teaspec.runtime.calibrations.calibration import BASE
from teaspec.runtime.calibrations.variants import matches
from teaspec.runtime.pipeline.apply import find_teacache_hook
from tests.runtime import denoising
from tests.runtime.driving import IDENTITY, choices, hooked, latents, reasons, signal
from tests.runtime.models import SingleStream, extract_single

LANDMARKS = {
    "flux": """
teaspec: 1
model: diffusers.FluxTransformer2DModel
embed: time_text_embed -> temb
norm: transformer_blocks.0.norm1
blocks: {style: dual, loops: [transformer_blocks, single_transformer_blocks]}
head: norm_out
""",
    "wan": """
teaspec: 1
model: diffusers.WanTransformer3DModel
embed: condition_embedder -> temb
norm: blocks.0.norm1
blocks: {style: single, loops: [blocks]}
head: norm_out
signal: temb
""",
}
FLUX_FACTS = """
teacache:
  coefficients: [0, 0, 0, 1, 0]
  source: the base
  match: {guidance_embeds: true}
  variants:
    kontext:
      match: {guidance_embeds: true, _name_or_path: "*Kontext*"}
      coefficients: [0, 0, 0, 2, 0]
      source: k
      accumulate: absolute
    retained: {coefficients: [0, 0, 0, 3, 0], source: r, warmup_steps: 3}
"""
WAN_FACTS = """
teacache:
  coefficients: [0, 0, 0, 1, 0]
  source: the base
  match: {num_layers: 2, image_dim: null}
  variants:
    large: {match: {num_layers: [3, 4], image_dim: null}, coefficients: [0, 0, 0, 2, 0], source: l}
    large-ret: {coefficients: [0, 0, 0, 3, 0], source: l, signal: timestep_proj, warmup_steps: 2}
    image: {match: {image_dim: 8}, signal: timestep_proj, coefficients: [0, 0, 0, 4, 0], source: i}
"""


def extractor_of(tmp_path: Path, name: str, facts: str) -> SpecExtractor:
    path = tmp_path / f"{name}.yaml"
    path.write_text(LANDMARKS[name] + facts, encoding="utf-8")
    extractor = SpecExtractor(path)
    register_extractor(extractor.spec.class_name, extractor)
    return extractor


@pytest.fixture
def flux_spec(tmp_path: Path) -> SpecExtractor:
    return extractor_of(tmp_path, "flux", FLUX_FACTS)


@pytest.fixture
def wan_spec(tmp_path: Path) -> SpecExtractor:
    return extractor_of(tmp_path, "wan", WAN_FACTS)


def flux(loaded_from: str | None = None, guidance_embeds: bool = True) -> FluxTransformer2DModel:
    model = denoising.flux(guidance_embeds)
    if loaded_from is not None:
        model.register_to_config(_name_or_path=loaded_from)  # as `from_pretrained` does
    return model


def wan(**config: Any) -> WanTransformer3DModel:
    return WanTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=12,
        in_channels=4,
        out_channels=4,
        text_dim=16,
        freq_dim=32,
        ffn_dim=32,
        rope_max_seq_len=32,
        **{"num_layers": 2, **config},
    )


def wan_call(model: WanTransformer3DModel, timestep: int) -> dict[str, torch.Tensor]:
    numbers, prompts = torch.Generator().manual_seed(timestep), torch.Generator().manual_seed(0)
    return {
        "hidden_states": torch.randn(1, 4, 1, 2, 2, generator=numbers),
        "timestep": torch.tensor([timestep]),
        "encoder_hidden_states": torch.randn(1, 3, 16, generator=prompts),
    }


def chosen(model: Any, **settings: Any) -> TeaCacheConfig:
    apply_teacache_hook(model, TeaCacheConfig(**settings))
    hook = find_teacache_hook(model)
    assert hook is not None
    return hook.config


def test_a_variant_is_asked_for_by_its_name(flux_spec: SpecExtractor) -> None:
    config = chosen(flux(), variant="retained")
    assert (config.variant, config.coefficients, config.warmup_steps) == ("retained", [0, 0, 0, 3, 0], 3)
    assert config.accumulate == "signed"
    assert chosen(flux("black-forest-labs/FLUX.1-Kontext-dev"), variant=BASE).coefficients == [0, 0, 0, 1, 0]


def test_an_unknown_variant_lists_what_there_is(flux_spec: SpecExtractor) -> None:
    model = flux()
    message = r"no variant 'contekst'; did you mean 'kontext'\? Known: base, kontext, retained"
    with pytest.raises(ValueError, match=message):
        apply_teacache_hook(model, TeaCacheConfig(variant="contekst"))
    assert find_teacache_hook(model) is None


def test_the_place_that_a_model_was_loaded_from_tells(
    flux_spec: SpecExtractor, caplog: pytest.LogCaptureFixture
) -> None:
    folder = "/cache/models--black-forest-labs--FLUX.1-Kontext-dev/snapshots/af58063/transformer"
    with caplog.at_level(logging.INFO, "teaspec"):
        config = chosen(flux(folder))
    assert (config.variant, config.accumulate, config.coefficients) == ("kontext", "absolute", [0, 0, 0, 2, 0])
    assert [record.levelname for record in caplog.records] == ["INFO"]
    assert "FluxTransformer2DModel: variant kontext is the one for a config with guidance_embeds=True" in caplog.text
    assert f"_name_or_path={folder!r} (published, k)" in caplog.text
    assert chosen(flux("black-forest-labs/FLUX.1-dev")).variant == BASE
    assert chosen(flux()).variant == BASE


def test_a_config_that_is_none_of_the_known_warns(flux_spec: SpecExtractor, caplog: pytest.LogCaptureFixture) -> None:
    assert chosen(flux(guidance_embeds=False)).variant == BASE
    assert "that of no checkpoint that TeaCache was calibrated for" in caplog.text
    assert "made for one with guidance_embeds=True" in caplog.text


def test_the_config_tells_by_its_values(wan_spec: SpecExtractor) -> None:
    assert chosen(wan()).variant == BASE
    assert chosen(wan(num_layers=3)).variant == "large"
    assert chosen(wan(num_layers=4)).variant == "large"
    assert chosen(wan(num_layers=3, image_dim=8, added_kv_proj_dim=24)).variant == "image"


def test_coefficients_of_your_own_leave_nothing_to_choose(
    wan_spec: SpecExtractor, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, "teaspec"):
        config = chosen(wan(num_layers=3), coefficients=IDENTITY)
    assert (config.variant, config.coefficients) == (BASE, IDENTITY)
    assert "base goes with coefficients of your own" in caplog.text
    config = chosen(wan(num_layers=3), coefficients=IDENTITY, variant="large-ret")
    assert (config.variant, config.coefficients, config.warmup_steps) == ("large-ret", IDENTITY, 2)


def test_a_variant_decides_by_its_own_signal(wan_spec: SpecExtractor) -> None:
    model = wan()
    seen = []
    handle = model.condition_embedder.register_forward_hook(lambda module, args, output: seen.append(output[:2]))
    for variant, index in ((BASE, 0), ("large-ret", 1)):
        apply_teacache_hook(model, TeaCacheConfig(variant=variant))
        hook = find_teacache_hook(model)
        assert hook is not None
        with torch.no_grad():
            model(**wan_call(model, 5))
        (state,) = hook.state_manager.states.values()
        expected = seen[-1][index]
        assert torch.equal(state.previous_modulated_input, expected.reshape(state.previous_modulated_input.shape))
        remove_teacache_hook(model)
    handle.remove()
    assert not torch.equal(seen[0][0].flatten(), seen[1][1].flatten()[: seen[0][0].numel()])


def test_the_signal_of_a_variant_has_its_own_extractor_and_computes_the_same(wan_spec: SpecExtractor) -> None:
    model = wan().eval()
    base, other = wan_spec.compiled_for(model), wan_spec.compiled_for(model, "large-ret")
    assert wan_spec.compiled_for(model, "large") is base
    assert wan_spec.compiled_for(model, "large-ret") is other is not base
    assert other.program.signal == "timestep_proj"
    with torch.no_grad():
        expected = model(**wan_call(model, 7)).sample
        apply_teacache_hook(model, TeaCacheConfig(variant="large-ret"))
        assert torch.equal(model(**wan_call(model, 7)).sample, expected)


def test_warm_up_steps_of_each_branch_are_computed(wan_spec: SpecExtractor) -> None:
    model = wan().eval()
    apply_teacache_hook(model, TeaCacheConfig(rel_l1_thresh=1e9, variant="large-ret"))
    hook = find_teacache_hook(model)
    assert hook is not None

    def generate() -> None:
        with torch.no_grad():
            for timestep in (9, 8, 7, 6):
                for branch in ("cond", "uncond"):
                    with model.cache_context(branch):
                        model(**wan_call(model, timestep))
        model._reset_stateful_cache()

    for _ in range(2):  # the second generation warms up, too
        generate()
        record = hook.last_generation
        assert record is not None
        for branch in ("cond", "uncond"):
            steps = [(step.reason, step.decision) for step in record.decisions if step.branch == branch]
            assert steps == [("first call", "compute"), ("warm-up", "compute")] + 2 * [("distance", "reuse")]


def test_nothing_accumulates_in_the_warm_up() -> None:
    module, hook = hooked(thresh=1.5, warmup_steps=3)
    for level in (1.0, 2.0, 4.0, 8.0, 16.0):
        module(latents(), signal(level))
    assert reasons(hook) == ["first call", "warm-up", "warm-up", "distance", "distance"]
    assert choices(hook) == ["compute", "compute", "compute", "reuse", "compute"]
    assert [decision.distance for decision in hook.decisions[:3]] == [None, None, None]
    assert hook.decisions[3].accumulated == pytest.approx(1.0)


def test_warm_up_steps_of_your_own_beat_the_variants(flux_spec: SpecExtractor) -> None:
    assert chosen(flux(), variant="retained", warmup_steps=0).warmup_steps == 0
    assert chosen(flux(), warmup_steps=7).warmup_steps == 7


def test_remove_and_apply_again_chooses_anew(wan_spec: SpecExtractor) -> None:
    model = wan(num_layers=3)
    assert chosen(model, variant="large-ret").warmup_steps == 2
    remove_teacache_hook(model)
    assert chosen(model).variant == "large"
    remove_teacache_hook(model)
    settled = chosen(model, variant="large-ret")
    remove_teacache_hook(model)
    apply_teacache_hook(model, settled)
    hook = find_teacache_hook(model)
    assert hook is not None
    assert hook.config == settled


def test_a_copy_of_a_hooked_model_keeps_its_variant(wan_spec: SpecExtractor) -> None:
    model = wan(num_layers=3).eval()
    chosen(model, variant="large-ret")
    hook = find_teacache_hook(copy.deepcopy(model))
    assert hook is not None
    assert (hook.config.variant, hook.config.warmup_steps) == ("large-ret", 2)


def test_a_backend_hands_on_variant_and_warm_up(wan_spec: SpecExtractor) -> None:
    class Pipeline:
        def __init__(self) -> None:
            self.transformer = wan()
            self.transformer_2 = wan(num_layers=3)

    pipe = Pipeline()
    backend = TeaCacheBackend({"variant": "large-ret", "warmup_steps": 4})
    backend.enable(pipe)
    for module in (pipe.transformer, pipe.transformer_2):
        hook = find_teacache_hook(module)
        assert hook is not None
        assert (hook.config.variant, hook.config.warmup_steps) == ("large-ret", 4)
    backend.disable(pipe)
    TeaCacheBackend().enable(pipe)
    assert [find_teacache_hook(one).config.variant for one in (pipe.transformer, pipe.transformer_2)] == [BASE, "large"]


def test_a_copied_forward_cannot_give_another_signal(wan_spec: SpecExtractor) -> None:
    model = wan(image_dim=8, added_kv_proj_dim=24)
    fixed = compile_spec(load_spec(LANDMARKS["wan"]), model)
    register_extractor("WanTransformer3DModel", fixed)  # keeps the calibration
    assert chosen(model).variant == BASE
    remove_teacache_hook(model)
    with pytest.raises(
        ValueError, match="decides by 'timestep_proj', which needs an extractor that is compiled for it"
    ):
        apply_teacache_hook(model, TeaCacheConfig(variant="image"))


def test_attributes_of_a_module_without_a_config_are_not_asked() -> None:
    class Numbered(SingleStream):
        num_layers = 2
        config: Any = None

    variants = {"two": Calibration((0, 0, 0, 2, 0), status="borrowed", match={"num_layers": (2,)})}
    register_extractor("Numbered", extract_single, Defaults(IDENTITY, status="published", variants=variants))
    assert chosen(Numbered()).variant == BASE
    told = Numbered()
    told.config = {"num_layers": 2}
    assert chosen(told).variant == "two"


def test_a_tie_that_only_the_model_shows_takes_the_base_set(caplog: pytest.LogCaptureFixture) -> None:
    variants = {
        "a": Calibration((0, 0, 0, 2, 0), status="published", match={"_name_or_path": ("*a*",)}),
        "b": Calibration((0, 0, 0, 3, 0), status="published", match={"_name_or_path": ("*b*",)}),
    }
    register_extractor("SingleStream", extract_single, Defaults(IDENTITY, status="published", variants=variants))
    module = SingleStream()
    module.config = {"_name_or_path": "abc"}
    assert chosen(module).variant == BASE
    assert "fits several calibrations: a, b. Taking the base set" in caplog.text


def test_who_decides_by_something_else_is_told_nothing_of_calibrations(caplog: pytest.LogCaptureFixture) -> None:
    """Red where the doubt is told whatever decides: a budget looks at no coefficients."""
    variants = {"a": Calibration((0, 0, 0, 2, 0), status="published", match={"num_layers": (2,)})}
    base = Defaults(IDENTITY, status="published", variants=variants, match={"num_layers": (3,)})
    register_extractor("SingleStream", extract_single, base)
    one, other = SingleStream(), SingleStream()
    one.config = other.config = {"num_layers": 4}
    assert chosen(one, budget=2).variant == BASE
    assert not [record for record in caplog.records if record.levelname == "WARNING"]
    assert chosen(other, rel_l1_thresh=0.2).variant == BASE
    assert "is that of no checkpoint that TeaCache was calibrated for" in caplog.text


def test_more_keys_win() -> None:
    variants = {
        "one": Calibration((0, 0, 0, 2, 0), status="published", match={"x": (1,)}),
        "two": Calibration((0, 0, 0, 3, 0), status="published", match={"x": (1,), "y": (None,)}),
    }
    register_extractor("SingleStream", extract_single, Defaults(IDENTITY, status="published", variants=variants))
    for config, expected in (({"x": 1, "y": None}, "two"), ({"x": 1, "y": 0}, "one"), ({"x": 1}, "one")):
        module = SingleStream()
        module.config = config
        assert chosen(module).variant == expected


@pytest.mark.parametrize(
    ("wanted", "found", "fits"),
    [
        (1, 1, True),
        (1, 1.0, True),
        (1, True, False),
        (True, 1, False),
        (True, True, True),
        (None, None, True),
        (None, 0, False),
        (0, None, False),
        ("rope", "ROPE", True),
        ("r?pe", "rape", True),
        ("rope", "a rope", False),
        ("*1*", 1, False),
        (2, [2], False),
    ],
)
def test_how_values_are_compared(wanted: Any, found: Any, fits: bool) -> None:
    assert matches({"key": (wanted,)}, {"key": found}) is fits
    assert matches({"key": ("no", wanted)}, {"key": found}) is fits
    assert not matches({"key": (wanted,), "other": (None,)}, {"key": found})


def test_a_variant_without_coefficients_says_so(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    extractor_of(tmp_path, "flux", FLUX_FACTS + "    plain: {warmup_steps: 6}\n")
    config = chosen(flux(), variant="plain")
    assert (config.coefficients, config.warmup_steps) == (IDENTITY, 6)
    assert "no coefficients for FluxTransformer2DModel, variant plain and rescales nothing" in caplog.text
