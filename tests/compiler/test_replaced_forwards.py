"""A model whose code is replaced, on its class or on an instance, is cut as it is now, or refused; never as it was."""

from __future__ import annotations

import functools
import types

import pytest
import torch

from teaspec.catalog.extractor import SpecExtractor
from teaspec.compiler import compile_spec, load_spec
from teaspec.compiler.report import SpecError
from teaspec.runtime.pipeline.apply import apply_teacache_hook, remove_teacache_hook
from teaspec.runtime.settings.config import TeaCacheConfig
from tests.compiler.models import SPECS, build, spec_of, toy_spec
from tests.compiler.split import called, entered, forward, observe
from tests.toys.parts import SingleBlock, SingleModel
from tests.toys.toy import Call

ALWAYS = TeaCacheConfig(rel_l1_thresh=1e-9, coefficients=[0, 0, 0, 0, 1])


def shifted(x):
    return x + 1


class Model(SingleModel):
    def forward(self, hidden_states, timestep):
        temb = self.embed(timestep)
        hidden_states = shifted(self.x_embedder(hidden_states))
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)

    def embed(self, timestep):
        return self.time_embed(timestep)


def doubled(self, hidden_states, timestep):
    temb = self.embed(timestep)
    hidden_states = self.x_embedder(hidden_states) * 2
    for block in self.transformer_blocks:
        hidden_states = block(hidden_states, temb)
    hidden_states = self.norm_out(hidden_states, temb)
    return self.proj_out(hidden_states) - 1


def around(self, hidden_states, timestep):
    return Model.own(self, hidden_states * 2, timestep)


Model.own = Model.forward


def block_forward(self, hidden_states, temb):
    normed, gate = self.norm1(hidden_states * 3, emb=temb)
    hidden_states = hidden_states + gate[:, None] * self.attn(normed) if gate.ndim == 2 else self.attn(normed)
    return hidden_states + self.ff(hidden_states)


def embed_in_place(self, timestep):
    return self.time_embed(timestep.mul_(2))


@pytest.fixture
def model():
    torch.manual_seed(0)
    return Model().eval()


@pytest.fixture
def spec():
    return toy_spec(Model, embed="embed -> temb")


def call():
    generator = torch.Generator().manual_seed(1)
    return Call({"hidden_states": torch.randn(2, 3, 4, generator=generator), "timestep": torch.tensor([0.5, 0.7])})


def assert_cut_as_it_is(model, extractor):
    with torch.no_grad():
        expected = observe(model, call(), forward)
        assert expected.error is None
        for run in (entered, called):
            # A method that was set on a module is another one in the copy that is observed.
            assert set(observe(model, call(), run(extractor)).differences(expected)) <= {"state"}


def modulated(model, extractor):
    given = call()
    with torch.no_grad():
        return extractor(model, **given.kwargs).modulated_input


def refused(spec, model):
    with pytest.raises(SpecError) as caught:
        compile_spec(spec, model)
    return [diagnostic.code for diagnostic in caught.value.diagnostics]


@pytest.mark.parametrize("name", ["forward", "another name"])
def test_a_class_that_is_patched_after_compiling(model, spec, monkeypatch, name):
    """Red where the cache does not ask whether an extractor is current."""
    before = compile_spec(spec, model)
    assert before.is_current(model) and compile_spec(spec, model) is before
    patch = types.FunctionType(doubled.__code__, doubled.__globals__, name) if name == "forward" else doubled
    monkeypatch.setattr(Model, "forward", patch)
    assert not before.is_current(model)
    after = compile_spec(spec, model)
    assert after is not before and after.is_current(model)
    assert_cut_as_it_is(model, after)
    monkeypatch.undo()
    assert before.is_current(model) and not after.is_current(model)
    assert compile_spec(spec, model) is before
    assert_cut_as_it_is(model, before)


def test_a_class_that_is_wrapped_after_compiling_is_refused(model, spec, monkeypatch):
    """Red where a failure to compile anew falls back on the extractor of before."""
    compile_spec(spec, model)
    monkeypatch.setattr(Model, "forward", around)
    assert refused(spec, model) == ["opaque-decorator"]


def test_the_forward_of_the_first_block_is_patched(model, spec, monkeypatch):
    """Red where neither the norm path nor the submodules' classes are read: the modulated input is the old block's."""
    before = compile_spec(spec, model)
    old = modulated(model, before)
    monkeypatch.setattr(SingleBlock, "forward", block_forward)
    after = compile_spec(spec, model)
    assert not before.is_current(model) and after is not before
    assert not torch.equal(modulated(model, after), old)
    assert torch.equal(modulated(model, after), first_attention_input(model))
    assert_cut_as_it_is(model, after)


def first_attention_input(model):
    seen = []
    handle = model.transformer_blocks[0].attn.register_forward_pre_hook(lambda module, args: seen.append(args[0]))
    with torch.no_grad():
        model(**call().kwargs)
    handle.remove()
    return seen[0]


def test_a_helper_method_is_patched(model, spec, monkeypatch):
    """Red where helper methods are not among the functions read: one that changes its argument must not sink."""
    before = compile_spec(spec, model)
    monkeypatch.setattr(Model, "embed", embed_in_place)
    after = compile_spec(spec, model)
    assert not before.is_current(model) and after is not before
    assert_cut_as_it_is(model, after)


def test_a_plain_function_beside_the_model_is_patched(model, spec, monkeypatch):
    """Red where plain functions are not among the functions read."""
    before = compile_spec(spec, model)
    monkeypatch.setitem(globals(), "shifted", lambda x: x.add_(1))
    assert not before.is_current(model)
    assert_cut_as_it_is(model, compile_spec(spec, model))


def test_a_forward_that_is_set_on_an_instance(model, spec):
    """Red where the class's forward is cut for every instance."""
    before = compile_spec(spec, model)
    other = Model().eval()
    other.forward = types.MethodType(doubled, other)
    assert before.is_current(model) and not before.is_current(other)
    extractor = compile_spec(spec, other)
    assert extractor.is_current(other) and not extractor.is_current(model)
    assert_cut_as_it_is(other, extractor)
    assert compile_spec(spec, model) is before
    del other.forward
    assert compile_spec(spec, other) is before


def test_a_helper_that_is_set_on_an_instance(model, spec):
    """Red where what hides a method of the class on the instance is not looked for."""
    before = compile_spec(spec, model)
    model.embed = types.MethodType(embed_in_place, model)
    assert not before.is_current(model)
    assert_cut_as_it_is(model, compile_spec(spec, model))


def test_a_partial_may_bind_a_forward(model, spec):
    """Red where a method counts only if Python has bound it."""
    before = compile_spec(spec, model)
    model.forward = functools.partial(doubled, model)
    assert not before.is_current(model)
    assert_cut_as_it_is(model, compile_spec(spec, model))
    model.forward = functools.partial(Model.forward, model)
    assert before.is_current(model) and compile_spec(spec, model) is before


@pytest.mark.parametrize(
    "patch",
    [
        lambda model: lambda hidden_states, timestep: hidden_states,
        lambda model: functools.partial(doubled, model, timestep=None),
        lambda model: functools.partial(doubled, Model()),
        lambda model: types.MethodType(doubled, Model()),
    ],
)
def test_a_forward_that_cannot_be_read_is_refused(model, spec, patch):
    """Red where anything but a method of the module counts as a hook's wrapper, or as nothing."""
    compile_spec(spec, model)
    model.forward = patch(model)
    assert refused(spec, model) == ["replaced-forward"]


def test_a_method_without_a_name_in_its_file_is_refused(model, spec):
    """Red where a function that no definition leads to is read from another place."""
    model.forward = types.MethodType(lambda self, hidden_states, timestep: hidden_states, model)
    assert refused(spec, model)[0] in {"opaque-decorator", "no-source"}


def test_the_forward_of_one_block_is_set_on_the_instance(model, spec):
    """Red where blocks on the norm path are taken for what their class says."""
    before = compile_spec(spec, model)
    block = model.transformer_blocks[0]
    block.forward = types.MethodType(block_forward, block)
    assert not before.is_current(model)
    after = compile_spec(spec, model)
    assert torch.equal(modulated(model, after), first_attention_input(model))
    assert_cut_as_it_is(model, after)
    block.forward = functools.partial(block_forward, None)
    assert refused(spec, model) == ["replaced-forward"]


def test_the_forward_of_another_block_is_none_of_its_business(model, spec):
    """Red where blocks that nothing was read of make an extractor outdated."""
    before = compile_spec(spec, model)
    block = model.transformer_blocks[1]
    block.forward = types.MethodType(block_forward, block)
    assert before.is_current(model) and compile_spec(spec, model) is before
    assert_cut_as_it_is(model, before)


def flux_forward(self, hidden_states, encoder_hidden_states=None, pooled_projections=None, timestep=None, img_ids=None,
                 txt_ids=None, guidance=None, joint_attention_kwargs=None, return_dict=True):  # fmt: skip
    hidden_states = self.x_embedder(hidden_states) + 0.05
    temb = self.time_text_embed(timestep.to(hidden_states.dtype) * 1000, pooled_projections)
    encoder_hidden_states = self.context_embedder(encoder_hidden_states)
    rotary = self.pos_embed(torch.cat((txt_ids, img_ids), dim=0))
    for block in self.transformer_blocks:
        encoder_hidden_states, hidden_states = block(
            hidden_states=hidden_states, encoder_hidden_states=encoder_hidden_states, temb=temb, image_rotary_emb=rotary
        )
    for block in self.single_transformer_blocks:
        encoder_hidden_states, hidden_states = block(
            hidden_states=hidden_states, encoder_hidden_states=encoder_hidden_states, temb=temb, image_rotary_emb=rotary
        )
    hidden_states = self.norm_out(hidden_states, temb)
    return (self.proj_out(hidden_states),)


def flux_call():
    generator = torch.Generator().manual_seed(2)
    return {
        "hidden_states": torch.randn(1, 4, 4, generator=generator),
        "encoder_hidden_states": torch.randn(1, 3, 12, generator=generator),
        "pooled_projections": torch.randn(1, 8, generator=generator),
        "timestep": torch.tensor([0.5]),
        "img_ids": torch.zeros(4, 3),
        "txt_ids": torch.zeros(3, 3),
        "return_dict": False,
    }


@pytest.fixture
def flux():
    return build("flux")


def output(model):
    with torch.no_grad():
        return model(**flux_call())[0]


@pytest.mark.parametrize("bind", [types.MethodType, functools.partial])
@pytest.mark.parametrize("order", ["set, then hooked", "set under a hook"])
def test_the_hook_runs_what_the_instance_has(flux, order, bind):
    """Red where the spec's extractor is not told of the replaced forward, or hooks hide it."""
    own = output(flux)
    flux.forward = bind(flux_forward, flux)
    expected = output(flux)
    assert not torch.equal(own, expected)
    if order == "set under a hook":
        accelerate = pytest.importorskip("accelerate.hooks")
        accelerate.add_hook_to_module(flux, accelerate.ModelHook())
    apply_teacache_hook(flux, ALWAYS)
    assert torch.equal(output(flux), expected)
    assert flux._diffusers_hook.get_hook("teacache").extractor_fn.is_current(flux)
    remove_teacache_hook(flux)
    assert torch.equal(output(flux), expected)


def test_the_hook_follows_a_class_that_is_patched_between_two_generations(flux, monkeypatch):
    """Red where a hooked module goes on with the forward of before in silence: here it is refused."""
    apply_teacache_hook(flux, ALWAYS)
    own = output(flux)
    extractor = flux._diffusers_hook.get_hook("teacache").extractor_fn
    assert extractor.is_current(flux)
    monkeypatch.setattr(type(flux), "forward", flux_forward)
    assert not extractor.is_current(flux)
    with pytest.raises(SpecError, match="go on calling the one of before"):
        SpecExtractor(SPECS["flux"]).compiled_for(flux)
    monkeypatch.undo()
    assert extractor.is_current(flux) and torch.equal(output(flux), own)


def test_an_extractor_of_another_forward_is_refused(flux):
    """Red where an extractor that was compiled before the forward was set is taken for one of it."""
    extractor = compile_spec(spec_of("flux"), flux)
    flux.forward = types.MethodType(flux_forward, flux)
    with pytest.raises(ValueError, match="was replaced on the instance"):
        apply_teacache_hook(flux, ALWAYS, extractor=extractor)
    assert flux.forward.__func__ is flux_forward
    expected = output(flux)
    apply_teacache_hook(flux, ALWAYS, extractor=compile_spec(spec_of("flux"), flux))
    assert torch.equal(output(flux), expected)


def test_text_of_a_compiled_extractor_serves_no_replaced_forward(flux):
    """Red where an extractor that cannot tell what it is made of is trusted."""
    namespace = {"__name__": "generated"}
    exec(compile_spec(load_spec(SPECS["flux"]), flux).source, namespace)
    flux.forward = types.MethodType(flux_forward, flux)
    with pytest.raises(ValueError, match="was replaced on the instance"):
        apply_teacache_hook(flux, ALWAYS, extractor=namespace["extractor"])
