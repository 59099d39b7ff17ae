"""What is handed over by mistake is refused with what to do next; wrappers are looked through where that is safe."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
import torch.distributed as dist
from diffusers import AutoencoderKL, DiTTransformer2DModel, FluxControlNetModel, UNet2DModel
from peft import LoraConfig, get_peft_model
from torch import nn
from torch.distributed.fsdp import FullyShardedDataParallel
from torch.nn.parallel import DistributedDataParallel

import teaspec
from teaspec import TeaCacheConfig, apply_teacache_hook, register_extractor
from teaspec.runtime.calibrations.registry import known_types
from teaspec.runtime.host.wrappers import find_obstacle, unwrapped
from teaspec.runtime.naming import nearest
from teaspec.runtime.pipeline.apply import find_teacache_hook
from tests.runtime.models import WIDTH, SingleStream, extract_single

HIDDEN, SIGNAL = torch.ones(1, 2, WIDTH), torch.ones(1, WIDTH)
REUSE_ALL = {"rel_l1_thresh": 1e9, "coefficients": [0.0] * 5}


@pytest.fixture(autouse=True)
def known() -> None:
    register_extractor("SingleStream", extract_single)


@pytest.mark.parametrize(
    ("subject", "following"),
    [
        (None, r"found None; DiffusionPipeline\.from_pretrained"),
        ("org/model", r"the text 'org/model'; load it first: DiffusionPipeline\.from_pretrained\('org/model'\)"),
        (SingleStream, r"the class SingleStream; make one of it first: SingleStream\.from_pretrained"),
        (7, "found a int; hand over the object that holds the transformer"),
    ],
)
@pytest.mark.parametrize("command", [teaspec.enable, teaspec.disable, teaspec.stats])
def test_what_can_hold_no_transformer(command: Callable[[Any], Any], subject: Any, following: str) -> None:
    """Mutation: `modules_of` does not call `require_holder`; then `vars` complains of a `__dict__`."""
    with pytest.raises(TypeError, match=following):
        command(subject)


def test_a_pipeline_where_a_transformer_is_asked_for() -> None:
    """Mutation: `require_module` looks for nothing in what it was given; then `.transformer` is not named."""
    with pytest.raises(TypeError, match=r"found a SimpleNamespace; it holds one: hand over `\.transformer`, or call"):
        apply_teacache_hook(SimpleNamespace(transformer=SingleStream()))
    with pytest.raises(TypeError, match=r"found None; teaspec\.enable\(pipeline\) takes a whole pipeline"):
        apply_teacache_hook(None)


def unet() -> nn.Module:
    return UNet2DModel(
        block_out_channels=(4,), norm_num_groups=2, down_block_types=("DownBlock2D",), up_block_types=("UpBlock2D",)
    )


def controlnet() -> nn.Module:
    return FluxControlNetModel(
        **{"in_channels": 4, "num_layers": 1, "num_single_layers": 1, "attention_head_dim": 16},
        **{
            "num_attention_heads": 2,
            "joint_attention_dim": 12,
            "pooled_projection_dim": 8,
            "axes_dims_rope": [4, 4, 8],
        },
    )


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (unet, "a UNet has no stack of blocks .*DeepCache"),
        (
            lambda: AutoencoderKL(block_out_channels=(4,), norm_num_groups=2),
            "an autoencoder runs once .* hand over the pipeline",
        ),
        (controlnet, "a ControlNet runs beside the transformer.* hand over the pipeline"),
    ],
)
def test_models_of_other_kinds(make: Callable[[], nn.Module], reason: str) -> None:
    """Mutation: `_other_kind` finds nothing; then a spec is to be drafted for a UNet."""
    model = make()
    for refused in (lambda: teaspec.enable(model), lambda: apply_teacache_hook(model)):
        with pytest.raises(ValueError, match=reason):
            refused()
    with pytest.raises(ValueError, match=rf"`part`: {reason}"):
        teaspec.enable(SimpleNamespace(part=model))


def test_a_class_that_nobody_knows_gets_the_command_that_drafts_a_spec() -> None:
    """Mutation: the argument of `teaspec init` is the class's name alone; then it cannot be imported by it."""
    model = DiTTransformer2DModel(num_attention_heads=1, attention_head_dim=4, num_layers=1, norm_num_groups=1)
    argument = "diffusers.models.transformers.dit_transformer_2d:DiTTransformer2DModel"
    for refused in (lambda: teaspec.enable(model), lambda: apply_teacache_hook(model)):
        with pytest.raises(ValueError, match=rf"Known: SingleStream\. `teaspec init {argument} -o DiT"):
            refused()
    with pytest.raises(ValueError, match=rf"`denoiser`: .*`teaspec init {argument} "):
        teaspec.enable(SimpleNamespace(denoiser=model))


def test_a_class_that_cannot_be_imported_is_to_be_moved_first() -> None:
    class Local(nn.Module):
        pass

    with pytest.raises(ValueError, match=r"into a module of its own, .* `teaspec init my_model:Local "):
        teaspec.enable(Local())


def test_three_of_many_names_and_all_of_a_few() -> None:
    """Mutation: `nearest` lists all that it is given."""
    many = [f"{letter}Transformer2DModel" for letter in "ABCDEFGH"]
    assert nearest("ATransformer3DModel", many).startswith("Nearest of the 8 known: ATransformer2DModel, ")
    assert nearest("ATransformer3DModel", many).count("Model") == 3
    assert nearest("zzz", many) == "None of the 8 known is near."
    assert nearest("zzz", many[:2]) == "Known: ATransformer2DModel, BTransformer2DModel."


def test_a_type_that_nobody_knows_names_three() -> None:
    for number in range(8):
        register_extractor(f"Stream{number}", extract_single)
    with pytest.raises(KeyError) as caught:
        TeaCacheConfig(transformer_type="Stream")
    assert "Nearest of the 9 known: " in str(caught.value)
    assert sum(name in str(caught.value) for name in known_types()) == 3


def test_a_field_that_does_not_exist() -> None:
    """Mutation: `names_the_nearest` returns the class as it is; then Python names what it did not expect alone."""
    with pytest.raises(TypeError, match=r"'rel_l1_treshold'; did you mean 'rel_l1_thresh'\? Known: accumulate,"):
        TeaCacheConfig(rel_l1_treshold=0.2)
    assert TeaCacheConfig(0.3, start=0.1) == TeaCacheConfig(rel_l1_thresh=0.3, start=0.1)


def compiled(module: nn.Module) -> nn.Module:
    return torch.compile(module, backend="eager")


def with_adapter(module: nn.Module) -> nn.Module:
    torch.manual_seed(0)
    return get_peft_model(module, LoraConfig(target_modules=["mix"], init_lora_weights=False)).eval()


@pytest.mark.parametrize(
    "wrap", [nn.DataParallel, with_adapter, compiled, lambda one: nn.DataParallel(with_adapter(one))]
)
@pytest.mark.parametrize("inside", [True, False], ids=["pipeline", "alone"])
def test_what_a_wrapper_calls_is_cached(wrap: Callable[[nn.Module], nn.Module], inside: bool) -> None:
    """Mutation: `_find_called` knows no wrapper; then this class of wrapper has no extractor."""
    model = SingleStream()
    wrapper = wrap(model)
    plain = wrapper(HIDDEN, SIGNAL)
    subject: Any = SimpleNamespace(transformer=wrapper) if inside else wrapper
    teaspec.enable(subject, **REUSE_ALL)
    before = model.steps_computed
    first = wrapper(HIDDEN, SIGNAL)
    second = wrapper(HIDDEN, SIGNAL)
    assert torch.equal(first, plain)
    assert torch.allclose(second, plain)
    assert model.steps_computed - before == 1
    assert teaspec.stats(subject).reused == 1
    teaspec.disable(subject)
    assert find_teacache_hook(model) is None
    assert torch.equal(wrapper(HIDDEN, SIGNAL), plain)


@pytest.fixture
def group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A process group of this process alone."""
    monkeypatch.setenv("GLOO_SOCKET_IFNAME", "lo")
    dist.init_process_group("gloo", rank=0, world_size=1, init_method=f"file://{tmp_path / 'meeting'}")
    yield
    dist.destroy_process_group()


@pytest.mark.usefixtures("group")
def test_data_parallel_in_processes_is_looked_through() -> None:
    """Mutation: `_find_called` knows no `DistributedDataParallel`; then its class has no extractor."""
    model = SingleStream()
    wrapper = DistributedDataParallel(model)
    pipe = SimpleNamespace(transformer=wrapper)
    teaspec.enable(pipe, **REUSE_ALL)
    with torch.no_grad():
        wrapper(HIDDEN, SIGNAL)
        wrapper(HIDDEN, SIGNAL)
    assert (model.steps_computed, teaspec.stats(pipe).reused) == (1, 1)


@pytest.mark.usefixtures("group")
@pytest.mark.filterwarnings("ignore:FSDP is switching")
def test_parameters_that_are_taken_away_are_refused() -> None:
    """Mutation: `find_obstacle` knows no FSDP; then `._fsdp_wrapped_module` is to be handed over."""
    wrapper = FullyShardedDataParallel(SingleStream(), device_id=torch.device("cpu"))
    for subject in (wrapper, SimpleNamespace(other=SingleStream(), transformer=wrapper)):
        with pytest.raises(ValueError, match=r"Shard with torch\.distributed\.fsdp\.fully_shard\(transformer\)"):
            teaspec.enable(subject)
    with pytest.raises(ValueError, match=r"fully_shard"):
        apply_teacache_hook(wrapper)


def test_copies_on_several_devices_are_refused() -> None:
    """Mutation: `_find_called` looks through every `DataParallel`; then the copies would call the original's hook."""
    wrapper = nn.DataParallel(SingleStream())
    wrapper.device_ids = [0, 1]  # what a machine with two devices has
    assert unwrapped(wrapper) is wrapper
    for subject in (wrapper, SimpleNamespace(other=SingleStream(), transformer=wrapper)):
        with pytest.raises(ValueError, match=r"Apply TeaCache to `\.module` and call that"):
            teaspec.enable(subject)
    with pytest.raises(ValueError, match=r"`\.module`"):
        apply_teacache_hook(wrapper)


def test_a_transformer_far_inside_is_named() -> None:
    """Mutation: `_find_held` finds nothing; then a spec is to be drafted for the wrapper."""
    outer = nn.Module()
    outer.engine = nn.Module()
    outer.engine.net = SingleStream()
    with pytest.raises(ValueError, match=r"holds one, a SingleStream: hand over `\.engine\.net`"):
        teaspec.enable(outer)


def test_an_ordinary_module_has_no_obstacle() -> None:
    assert find_obstacle(SingleStream()) is None
    assert unwrapped(7) == 7


@pytest.mark.parametrize("strict", [True, False])
def test_a_hooked_module_is_not_exported(strict: bool) -> None:
    """Mutation: `_Entry` has no `__code__`, and `compiled.REASON` says nothing of it; then torch's own words stand."""
    model = SingleStream()
    teaspec.enable(model, **REUSE_ALL)
    with pytest.raises(Exception, match=r"take TeaCache off first: teaspec\.disable") as caught:
        torch.export.export(model, (HIDDEN, SIGNAL), strict=strict)
    assert not isinstance(caught.value, AssertionError)
    teaspec.disable(model)
    torch.export.export(model, (HIDDEN, SIGNAL), strict=strict)
