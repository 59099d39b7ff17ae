"""resolve: the source behind a live model, and what an extractor depends on."""

from __future__ import annotations

import functools
import gc
import inspect
import weakref
from pathlib import Path

import diffusers
import pytest
import torch
from torch import nn

from teaspec.compiler.forms.source import FunctionSource
from teaspec.compiler.passes.import_model import import_model
from teaspec.compiler.passes.resolve import block_structure, resolve
from teaspec.compiler.pipeline import load_spec
from teaspec.compiler.report import SpecError
from tests.compiler.models import SPECS, build, source_of, spec_of, toy_spec
from tests.toys.parts import WIDTH, SingleModel
from tests.toys.refused_landmarks import Plain
from tests.toys.toy import spec_text


def refused(spec, module):
    with pytest.raises(SpecError) as caught:
        resolve(spec, module)
    return [diagnostic.code for diagnostic in caught.value.diagnostics]


@pytest.mark.parametrize(
    "path",
    [
        "diffusers.FluxTransformer2DModel",
        "diffusers:FluxTransformer2DModel",
        "diffusers.models.transformers.transformer_flux.FluxTransformer2DModel",
        "diffusers.models.transformers.transformer_flux:FluxTransformer2DModel",
    ],
)
def test_the_class_is_imported_however_its_path_is_written(path):
    assert import_model(load_spec(spec_text(path))) is diffusers.FluxTransformer2DModel


def assert_is_the_definition(found: FunctionSource, function):
    function = inspect.unwrap(function)
    lines, first = inspect.getsourcelines(function)
    assert found.function is function
    assert Path(found.file.path) == Path(inspect.getsourcefile(function))
    assert min([found.node.lineno, *(d.lineno for d in found.node.decorator_list)]) == first
    assert found.node.end_lineno == first + len(lines) - 1
    assert found.title == function.__qualname__


@pytest.mark.parametrize("name", SPECS)
def test_the_forward_is_found_under_its_decorators(name):
    cls, source = import_model(spec_of(name)), source_of(name)
    assert_is_the_definition(source.model.forward, cls.forward)
    assert source.entry is source.model.forward
    assert (
        source.model.forward.file.shown
        == Path(source.model.forward.file.path).relative_to(Path(diffusers.__file__).parents[1]).as_posix()
    )


@pytest.mark.parametrize("name", SPECS)
def test_the_first_block_is_found(name):
    spec, path, model = spec_of(name), source_of(name).norm, build(name)
    loop, index, *steps = spec.norm.split(".")
    assert (path.loop, path.index, path.steps) == (loop, index, tuple(steps))
    assert len(path.frames) == len(steps) == 1
    assert_is_the_definition(path.frames[0].forward, type(model.get_submodule(f"{loop}.{index}")).forward)


def test_the_norm_path_leads_through_wrappers():
    spec = load_spec(
        spec_text(
            "diffusers.HiDreamImageTransformer2DModel",
            embed="t_embedder -> timesteps",
            norm="double_stream_blocks.0.block.norm1_i",
            loops="double_stream_blocks, single_stream_blocks",
            head="final_layer",
        )
    )
    model = diffusers.HiDreamImageTransformer2DModel(
        patch_size=2, in_channels=4, out_channels=4, num_layers=1, num_single_layers=1, attention_head_dim=8,
        num_attention_heads=2, caption_channels=[8, 6], text_emb_dim=8, num_routed_experts=2, num_activated_experts=1,
        axes_dims_rope=[4, 2, 2], max_resolution=[8, 8], llama_layers=[0, 1],
    )  # fmt: skip
    path = resolve(spec, model).norm
    wrapper = model.double_stream_blocks[0]
    assert path.steps == ("block", "norm1_i")
    assert [frame.class_name for frame in path.frames] == [type(wrapper).__name__, type(wrapper.block).__name__]


def test_a_list_inside_a_submodule_is_found_with_and_without_its_loop_in_the_spec():
    class Inner(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = SingleModel().transformer_blocks

    model = Plain()
    model.encoder = Inner()
    for loops in ("encoder.layers", "transformer_blocks"):
        path = resolve(toy_spec(Plain, norm="encoder.layers.1.norm1", loops=loops), model).norm
        assert (path.loop, path.index, path.steps) == ("encoder.layers", "1", ("norm1",))


class Below(Plain):
    """Inherits its forward."""


def test_a_subclass_is_served_and_its_inherited_forward_keeps_its_owner():
    forward = resolve(toy_spec(Plain), Below()).model.forward
    assert (forward.owner, forward.title) == ("Plain", "Plain.forward")


class Elsewhere(SingleModel):
    """Shares its landmarks with `Plain`, not its ancestors."""

    forward = Plain.forward


def test_an_alias_is_served_and_anything_else_is_not():
    assert refused(toy_spec(Plain), Elsewhere()) == ["model-mismatch"]
    source = resolve(toy_spec(Plain, more="aliases: [Elsewhere]"), Elsewhere())
    assert source.model.class_name == "Elsewhere"


class Wrapped(Plain):
    """Its forward is wrapped below, as a patch from outside does it."""

    def forward(self, hidden_states, timestep):
        return super().forward(hidden_states, timestep)


_original = Wrapped.forward


@functools.wraps(_original)
def _around(self, *args, **kwargs):
    return _original(self, *args, **kwargs)


Wrapped.forward = _around


def test_a_wrapper_put_on_after_the_class_was_made_is_refused():
    assert refused(toy_spec(Wrapped), Wrapped()) == ["opaque-decorator"]


def test_nothing_of_the_module_is_kept_alive():
    model = build("flux")
    source = resolve(spec_of("flux"), model)
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None
    assert source.model.class_name == "FluxTransformer2DModel"


def test_nothing_of_the_module_is_run():
    model = build("flux")
    for part in model.modules():
        part.register_forward_pre_hook(lambda *_: pytest.fail("a submodule was called"))
    before = torch.get_rng_state()
    resolve(spec_of("flux"), model)
    assert torch.equal(torch.get_rng_state(), before)


class Parts(Plain):
    """Submodules of all kinds."""

    def __init__(self, p):
        super().__init__()
        self.dropout = nn.Dropout(p)
        self.scale = nn.LayerNorm(WIDTH)


def test_submodules_are_told_apart_by_what_they_hold_and_do():
    model = resolve(toy_spec(Parts), Parts(0.5)).model
    assert model.children["transformer_blocks.0.attn"]
    assert model.children["norm_out"]
    assert not model.children["scale"]
    assert not model.children["dropout"]
    assert model.random_children == {"dropout"}
    assert resolve(toy_spec(Parts), Parts(0.0)).model.random_children == frozenset()


def test_a_block_that_draws_makes_every_list_above_it_random():
    model = Plain()
    model.transformer_blocks[1].ff = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Dropout(0.1))
    assert resolve(toy_spec(Plain), model).model.random_children == {
        "transformer_blocks", "transformer_blocks.1", "transformer_blocks.1.ff", "transformer_blocks.1.ff.1",
    }  # fmt: skip


class Naming(nn.Module):
    """Calls its dropout by a name of its own, as adapters do."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.dropouts = nn.ModuleList([nn.Dropout(p)])

    def forward(self, x):
        dropout = self.dropouts[0]
        return dropout(x)


class Choosing(Naming):
    def forward(self, x, fall_back=None):
        dropout = self.dropouts[0]
        if fall_back is not None:
            dropout = fall_back
        return dropout(x)


@pytest.mark.parametrize(("part", "drawing"), [(Naming(0.0), False), (Naming(0.1), True), (Choosing(0.0), True)])
def test_a_submodule_is_asked_for_itself_by_whatever_name_it_is_called(part, drawing):
    model = Plain()
    model.transformer_blocks[1].ff = part
    assert ("transformer_blocks.1.ff" in resolve(toy_spec(Plain), model).model.random_children) == drawing


def test_the_structure_is_that_of_classes_not_of_sizes():
    spec = spec_of("flux")
    plain = block_structure(spec, build("flux"))
    assert plain == block_structure(spec, build("flux", num_layers=1, num_single_layers=1, attention_head_dim=32))
    assert hash(plain) == hash(block_structure(spec, build("flux").train()))


def test_the_structure_changes_with_the_classes_of_the_first_block():
    spec = spec_of("sd3")
    assert block_structure(spec, build("sd3")) != block_structure(spec, build("sd3", dual_attention_layers=[0]))
    hunyuan = spec_of("hunyuan_video")
    plain, replacing = (
        block_structure(hunyuan, build("hunyuan_video", image_condition_type=kind)) for kind in (None, "token_replace")
    )
    assert plain != replacing


def test_the_structure_changes_with_what_draws_random_numbers():
    assert block_structure(toy_spec(Parts), Parts(0.5)) != block_structure(toy_spec(Parts), Parts(0.0))
