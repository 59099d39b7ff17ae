"""What `register` puts into vLLM-Omni's registry: with the tables of vLLM-Omni 0.30."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import nn

from teaspec import CacheContext
from teaspec.catalog import shipped_folder
from teaspec.compiler import load_spec
from teaspec.integrations import vllm_omni
from teaspec.integrations.vllm_omni.classes import survey
from teaspec.integrations.vllm_omni.specs import find_extractor, spec_types
from teaspec.runtime.calibrations.calibration import IDENTITY_COEFFICIENTS
from tests.runtime import denoising

REGISTRY = """
def _own(module, *args, **kwargs):
    return "theirs"

EXTRACTOR_REGISTRY = {"FluxTransformer2DModel": _own, "Flux2Klein": _own, "Bagel": _own, "SD3Transformer2DModel": _own}

def register_extractor(name, extractor):
    EXTRACTOR_REGISTRY[name] = extractor
"""
CONFIG = """
_MODEL_COEFFICIENTS = {"FluxTransformer2DModel": [1.0, 2.0, 3.0, 4.0, 5.0], "Flux2Klein": [5.0, 4.0, 3.0, 2.0, 1.0]}
"""
TEACACHE = """
from teaspec import CacheContext
from vllm_omni.diffusion.cache.teacache.extractors import register_extractor
"""
MODELS = """
from torch import nn

class FluxTransformer2DModel(nn.Module):
    def forward(self, x):
        for block in self.transformer_blocks: x = block(x)
        for block in self.single_transformer_blocks: x = block(x)
        return x

class FluxKontextTransformer2DModel(FluxTransformer2DModel):
    pass

class SD3Transformer2DModel(nn.Module):  # another model, which has no transformer_blocks
    def forward(self, x):
        for layer in self.layers: x = layer(x)
        return x

class WanTransformer3DModel(SomeBaseFromElsewhere):
    pass
"""
FILES = {
    "vllm_omni/diffusion/cache/teacache/__init__.py": TEACACHE,
    "vllm_omni/diffusion/cache/teacache/extractors.py": REGISTRY,
    "vllm_omni/diffusion/cache/teacache/config.py": CONFIG,
    "vllm_omni/diffusion/models/some.py": MODELS,
    "vllm_omni/diffusion/models/broken.py": "class Unfinished(:",
}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    for name in [name for name in sys.modules if name.partition(".")[0] == "vllm_omni"]:
        monkeypatch.delitem(sys.modules, name)
    for path, text in FILES.items():
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
        for folder in file.relative_to(tmp_path).parents[:-1]:
            (tmp_path / folder / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] == "vllm_omni"]:
        del sys.modules[name]


def registry() -> dict[str, Any]:
    return sys.modules[f"{vllm_omni.TEACACHE}.extractors"].EXTRACTOR_REGISTRY


def table() -> dict[str, list[float]]:
    return sys.modules[f"{vllm_omni.TEACACHE}.config"]._MODEL_COEFFICIENTS


@pytest.mark.usefixtures("package")
def test_all_that_has_a_spec_is_registered_and_what_derives_from_it() -> None:
    """Red when `register` leaves `like` out of its extractors."""
    names = vllm_omni.register()
    assert set(spec_types()) - set(names) == {"SD3Transformer2DModel"}
    assert {"FluxKontextTransformer2DModel", "Flux2Klein", "Bagel"} <= set(names)
    assert len(names) > 70


@pytest.mark.usefixtures("package")
def test_another_model_of_the_same_name_keeps_its_own() -> None:
    """Red when `_can_fit` is true for every name."""
    names = vllm_omni.register()
    assert "SD3Transformer2DModel" not in names
    assert registry()["SD3Transformer2DModel"](None) == "theirs"
    with pytest.raises(ValueError, match=r"'SD3Transformer2DModel' is another model than that of the spec"):
        vllm_omni.register("SD3Transformer2DModel")


@pytest.mark.usefixtures("package")
def test_a_base_that_nobody_can_read_may_hold_the_blocks() -> None:
    """Red when `_may_add` is false for a base that no file has."""
    assert "WanTransformer3DModel" in vllm_omni.register()


@pytest.mark.usefixtures("package")
def test_a_name_that_no_class_has_is_told_from_the_module() -> None:
    """Red when the extractor is looked up by the registered name in place of the module's class."""
    vllm_omni.register()
    call = denoising.flux_inputs(torch.randn(1, 6, 4), torch.randn(1, 3, 8), denoising.TIMESTEPS[0])
    context = registry()["Flux2Klein"](denoising.flux(), **call)
    assert isinstance(context, CacheContext)
    assert registry()["Bagel"](nn.Linear(1, 1)) == "theirs"


@pytest.mark.usefixtures("package")
def test_where_a_spec_does_not_fit_the_displaced_extractor_goes_on(caplog: pytest.LogCaptureFixture) -> None:
    """Red when `_cut_for` raises what the compiler says, and when the reason is not logged."""
    vllm_omni.register()
    module = type("FluxTransformer2DModel", (nn.Module,), {"forward": lambda self, x: x})()
    with caplog.at_level(logging.WARNING):
        assert registry()["FluxTransformer2DModel"](module, 1) == "theirs"
        assert registry()["FluxTransformer2DModel"](module, 1) == "theirs"
    warnings = [one.getMessage() for one in caplog.records]
    assert len(warnings) == 1, "said once for a module"
    assert warnings[0].startswith("FluxTransformer2DModel goes on with vLLM-Omni's own extractor: ")
    assert "FluxTransformer2DModel" in warnings[0].partition(": ")[2]


@pytest.mark.usefixtures("package")
def test_registering_again_displaces_nothing_of_ours() -> None:
    """Red when what stands in the registry is taken for displaced whatever it is."""
    vllm_omni.register()
    vllm_omni.register()
    assert not isinstance(registry()["FluxTransformer2DModel"].displaced, vllm_omni.OmniExtractor)
    assert registry()["FluxTransformer2DModel"].displaced(None) == "theirs"
    assert registry()["WanTransformer3DModel"].displaced is None


@pytest.mark.usefixtures("package")
def test_where_nothing_was_displaced_the_reason_is_an_error() -> None:
    """Red when `_give_up` does not raise without a displaced extractor."""
    vllm_omni.register()
    module = type("WanTransformer3DModel", (nn.Module,), {"forward": lambda self, x: x})()
    with pytest.raises(Exception, match="WanTransformer3DModel"):
        registry()["WanTransformer3DModel"](module, 1)


@pytest.mark.usefixtures("package")
def test_coefficients_come_where_there_are_none() -> None:
    """Red when a set of vLLM-Omni's is overwritten, when a subclass gets the identity, or when nothing is added."""
    vllm_omni.register()
    found = table()
    assert found["FluxTransformer2DModel"] == [1.0, 2.0, 3.0, 4.0, 5.0]
    assert found["Flux2Klein"] == [5.0, 4.0, 3.0, 2.0, 1.0]
    assert found["FluxKontextTransformer2DModel"] == found["FluxTransformer2DModel"]
    assert found["HunyuanVideoTransformer3DModel"] == list(
        spec_types()["HunyuanVideoTransformer3DModel"][0].defaults.coefficients
    )
    assert found["LTX2VideoTransformer3DModel"] == list(IDENTITY_COEFFICIENTS)
    assert "Bagel" not in found, "nobody knows which model that is"
    assert all(len(one) == 5 for one in found.values())


@pytest.mark.usefixtures("package")
def test_without_published_coefficients_a_model_says_so_once(caplog: pytest.LogCaptureFixture) -> None:
    """Red when `is_uncalibrated` is not handed on, or is true for all."""
    vllm_omni.register()
    sys.modules[f"{vllm_omni.TEACACHE}.config"]._MODEL_COEFFICIENTS.clear()
    call = denoising.flux_inputs(torch.randn(1, 6, 4), torch.randn(1, 3, 8), denoising.TIMESTEPS[0])
    calibrated = registry()["FluxTransformer2DModel"]
    uncalibrated = vllm_omni.OmniExtractor("X", find_extractor, CacheContext, is_uncalibrated=True)
    module = denoising.flux()
    with caplog.at_level(logging.WARNING):
        calibrated(module, **call)
        assert not caplog.records
        uncalibrated(module, **call)
        uncalibrated(module, **call)
    assert [one.getMessage().partition(":")[0] for one in caplog.records] == [
        "no coefficients are published for FluxTransformer2DModel"
    ]
    assert registry()["LTX2VideoTransformer3DModel"]._is_uncalibrated
    assert not registry()["FluxTransformer2DModel"]._is_uncalibrated


@pytest.mark.usefixtures("package")
def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"no extractor for 'FluxTransformer2D'.*FluxTransformer2DModel"):
        vllm_omni.register("FluxTransformer2D")


@pytest.mark.usefixtures("package")
def test_names_are_those_that_were_asked_for() -> None:
    assert vllm_omni.register("WanTransformer3DModel", "Flux2Klein") == ("WanTransformer3DModel", "Flux2Klein")
    assert registry()["FluxTransformer2DModel"](None) == "theirs"


def test_wrappers_by_subclassing_are_served() -> None:
    """Red when `find_extractor` looks at the class itself alone."""
    wrapper = type("FSDPFlux", (denoising.flux().__class__,), {})
    assert (find_extractor(wrapper),) == spec_types()["FluxTransformer2DModel"]
    assert find_extractor(nn.Linear) is None


def test_specs_of_its_own_classes_come_before_those_of_diffusers() -> None:
    """Red when `_own` comes first in `spec_types`, not at all in `find_extractor`, or for every module there."""
    (own,) = spec_types()["ZImageTransformer2DModel"]
    assert own.spec.model.startswith("vllm_omni.")
    cls = type("ZImageTransformer2DModel", (nn.Module,), {})
    assert find_extractor(cls).spec.model.startswith("diffusers.")
    cls.__module__ = "vllm_omni.diffusion.models.z_image.z_image_transformer"
    assert find_extractor(cls) is own
    cls.__module__ = "vllm_omni.diffusion.models.z_image.moved"
    assert find_extractor(cls) is own


def test_classes_that_share_a_name_are_told_by_their_modules() -> None:
    """Red when the last spec of a name displaces the others, or a module that no spec names gets any of them."""
    specs = {one.spec.model.partition(":")[0]: one for one in spec_types()["DiT"]}
    assert len(specs) > 1
    cls = type("DiT", (nn.Module,), {})
    for module, extractor in specs.items():
        cls.__module__ = module
        assert find_extractor(cls) is extractor
    cls.__module__ = "vllm_omni.diffusion.models.another"
    assert find_extractor(cls) is None


def test_a_survey_leaves_out_what_is_no_python(tmp_path: Path) -> None:
    file = tmp_path / "broken.py"
    file.write_text("class Unfinished(:")
    assert "Unfinished" not in survey([file, tmp_path / "missing.py"])


def test_the_package_above_is_no_vllm_omni() -> None:
    """The fixture must leave nothing behind."""
    module: ModuleType | None = sys.modules.get("vllm_omni")
    assert module is None or not hasattr(module, "diffusion") or "vllm_omni.diffusion.models.some" not in sys.modules


@pytest.mark.parametrize("path", sorted(shipped_folder().glob("vllm_omni/*.yaml")), ids=lambda path: path.stem)
def test_specs_of_its_own_classes_are_for_them(path: Path) -> None:
    """Their proof needs vLLM-Omni (`make vllm-omni`); that they can be read, and are about its classes, does not."""
    spec = load_spec(path)
    assert spec.model.startswith("vllm_omni.diffusion.models.")
    assert spec.probe.inputs
    assert path in [one.path for one in spec_types()[spec.class_name]]
