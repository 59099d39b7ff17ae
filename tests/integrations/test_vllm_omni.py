"""Extractors as vLLM-Omni's hook calls them, and its own registry and hook where it can be imported."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from diffusers import ConsisIDTransformer3DModel

from teaspec import CacheContext, TeaCacheConfig, apply_teacache_hook, get_extractor
from teaspec.integrations import vllm_omni
from teaspec.integrations.vllm_omni import OmniExtractor
from teaspec.runtime.pipeline.apply import find_teacache_hook
from tests.runtime import denoising
from tests.runtime.models import DualStream, SingleStream, SingleStreamExtractor, extract_dual

IDENTITY = [0.0, 0.0, 0.0, 1.0, 0.0]


class Driver:
    """Calls an extractor as vLLM-Omni's hook does, with one branch."""

    def __init__(self, extractor: Any, threshold: float) -> None:
        self.extractor, self.threshold = extractor, threshold
        self.previous, self.total = None, 0.0
        self.residual, self.encoder_residual = None, None
        self.choices: list[str] = []

    def __call__(self, module: Any, *args: Any, **kwargs: Any) -> Any:
        context = self.extractor(module, *args, **kwargs)
        reuses = self.previous is not None and self.is_below(context.modulated_input)
        self.choices.append("reuse" if reuses else "compute")
        hidden, encoder = context.hidden_states.clone(), context.encoder_hidden_states
        encoder = None if encoder is None else encoder.clone()
        if reuses:
            context.hidden_states = hidden + self.residual
            if self.encoder_residual is not None and encoder is not None:
                context.encoder_hidden_states = encoder + self.encoder_residual
        else:
            outputs = context.run_transformer_blocks()
            context.hidden_states = outputs[0]
            self.residual = context.hidden_states - hidden
            if len(outputs) > 1 and encoder is not None:
                context.encoder_hidden_states = outputs[1]
                self.encoder_residual = context.encoder_hidden_states - encoder
        self.previous = context.modulated_input
        return context.postprocess(context.hidden_states)

    def is_below(self, current: torch.Tensor) -> bool:
        distance = (current - self.previous).abs().mean() / (self.previous.abs().mean() + 1e-8)
        self.total += abs(distance.item())
        below = self.total < self.threshold
        self.total = self.total if below else 0.0
        return below


def omni(extractor: Any, name: str = "Model") -> OmniExtractor:
    return OmniExtractor(name, lambda cls: extractor, CacheContext)


def flux_calls() -> list[dict[str, Any]]:
    generator = torch.Generator().manual_seed(1)
    latents, prompt = torch.randn(1, 6, 4, generator=generator), torch.randn(1, 3, 8, generator=generator)
    return [denoising.flux_inputs(latents, prompt, timestep) for timestep in denoising.TIMESTEPS]


def consisid_calls() -> list[dict[str, Any]]:
    generator = torch.Generator().manual_seed(1)
    latents, prompt = torch.randn(1, 1, 4, 4, 4, generator=generator), torch.randn(1, 4, 8, generator=generator)
    return [
        {"hidden_states": latents, "encoder_hidden_states": prompt, "timestep": torch.tensor([timestep])}
        for timestep in (900, 890, 880, 300)
    ]


def consisid() -> ConsisIDTransformer3DModel:
    torch.manual_seed(0)
    return ConsisIDTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=24,
        in_channels=4,
        out_channels=4,
        time_embed_dim=8,
        text_embed_dim=8,
        num_layers=2,
        sample_width=8,
        sample_height=8,
        sample_frames=9,
        max_text_seq_length=4,
    ).eval()


MODELS = {"flux": (denoising.flux, flux_calls, 0.08), "consisid": (consisid, consisid_calls, 0.5)}


@pytest.mark.parametrize("kind", MODELS)
def test_it_gives_what_teaspec_own_hook_gives(kind: str) -> None:
    make, calls, threshold = MODELS[kind]
    plain, model = make(), make()
    name = type(plain).__name__
    driver = Driver(omni(get_extractor(name), name), threshold)
    config = TeaCacheConfig(threshold, IDENTITY, accumulate="absolute")
    apply_teacache_hook(model, config)
    with torch.no_grad():
        for call in calls():
            found, expected = (run(**call, return_dict=False)[0] for run in (lambda **k: driver(plain, **k), model))
            assert torch.equal(found, expected)
    hook = find_teacache_hook(model)
    assert driver.choices == [one.decision for one in hook.decisions]
    assert set(driver.choices) == {"compute", "reuse"}


def test_nothing_is_compiled_before_the_first_call_and_then_once() -> None:
    extractor = SingleStreamExtractor()
    adapter, modules = omni(extractor), [SingleStream(), SingleStream()]
    assert extractor.compiled == 0
    for module in (*modules, *modules):
        adapter(module, torch.ones(1, 3, 4), torch.ones(1, 4))
    assert extractor.compiled == 2


@pytest.mark.parametrize("past", [{"record": []}, {"finish": True}], ids=["bypass", "ends before the blocks"])
def test_a_call_past_the_cache_is_computed_and_nothing_of_it_is_reused(past: dict[str, Any]) -> None:
    module = SingleStream()
    driver = Driver(omni(SingleStreamExtractor(bypass=("record",))), 0.5)
    image, signal = torch.randn(1, 3, 4), torch.ones(1, 4)
    outputs = [driver(module, image, signal, **kwargs) for kwargs in ({}, {}, past, {}, {})]
    assert driver.choices == ["compute", "reuse", "compute", "compute", "reuse"]
    assert torch.equal(outputs[2], module(image, signal, **past))
    assert torch.equal(outputs[3], module(image, signal))


def test_what_vllm_omni_cannot_keep_is_refused() -> None:
    adapter = omni(extract_dual, "DualStream")
    with pytest.raises(RuntimeError, match=r"behind the blocks of DualStream also needed: scale\. Use teaspec's own"):
        adapter(DualStream(), torch.ones(1, 3, 4), torch.ones(1, 2, 4), torch.ones(1, 4))


def test_without_vllm_omni_there_is_a_clear_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "vllm_omni"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "vllm_omni", None)
    with pytest.raises(ImportError, match=r"vLLM-Omni is not installed.*pip install vllm-omni"):
        vllm_omni.register()


def test_vllm_omni_that_cannot_be_imported_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "vllm_omni"]:
        monkeypatch.delitem(sys.modules, name)
    tmp_path.joinpath("vllm_omni.py").write_text("import no_such_vllm")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ImportError, match=r"is installed, but .* cannot be imported: No module named 'no_such_vllm'"):
        vllm_omni.register()


def test_in_vllm_omni_itself() -> None:
    reason = "vLLM-Omni is not importable here"
    teacache = pytest.importorskip(vllm_omni.TEACACHE, reason=reason, exc_type=ImportError)
    assert "FluxTransformer2DModel" in vllm_omni.register()
    model, plain = denoising.flux(), denoising.flux()
    config = {"rel_l1_thresh": 0.08, "coefficients": IDENTITY, "transformer_type": "FluxTransformer2DModel"}
    teacache.apply_teacache_hook(model, teacache.TeaCacheConfig(**config))
    driver = Driver(omni(get_extractor("FluxTransformer2DModel")), 0.08)
    with torch.no_grad():
        for call in flux_calls():
            assert torch.equal(model(**call, return_dict=False)[0], driver(plain, **call, return_dict=False)[0])
    assert set(driver.choices) == {"compute", "reuse"}


def test_what_vllm_omni_hooks_wrap_is_cut() -> None:
    """Red when `served_forward` is not handed to the compiler, which then refuses a forward that an object replaces."""

    class Wrapped:
        def __call__(self, *args: Any, **kwargs: Any) -> Any:
            raise AssertionError("the extractor must not run the hook again")

    plain, model = denoising.flux(), denoising.flux()
    for module in (model, model.transformer_blocks[0]):  # blocks have hooks, too: of offloading
        module._omni_original_forward = module.forward
        module.forward = Wrapped()
    model.transformer_blocks[0].forward = model.transformer_blocks[0]._omni_original_forward
    call = flux_calls()[0]
    extractor = omni(get_extractor("FluxTransformer2DModel"))
    with torch.no_grad():
        context = extractor(model, **call, return_dict=False)
        found = context.postprocess(context.run_transformer_blocks()[0])
        assert torch.equal(found[0], plain(**call, return_dict=False)[0])
    assert extractor.serves(model)
