"""What joins the passes: loading a spec, and one compilation for each class and block structure."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from torch import nn

from teaspec.compiler import compile_spec, load_spec
from teaspec.compiler.cache import ExtractorCache
from teaspec.compiler.pipeline import compile_anew
from teaspec.compiler.report import SpecError
from tests.compiler.models import SPECS, build, spec_of, toy_spec
from tests.compiler.split import compute, entered, forward, observe
from tests.toys.parts import CHANNELS, AdaNorm, SingleBlock, SingleModel
from tests.toys.refused_landmarks import Plain
from tests.toys.toy import draws, spec_text

# load_spec


def test_a_spec_is_loaded_from_a_path_or_from_its_text():
    path = SPECS["flux"]
    text = path.read_text(encoding="utf-8")
    by_path, by_name, by_text = load_spec(path), load_spec(str(path)), load_spec(text)
    for key in type(by_path).model_fields:
        assert getattr(by_path, key) == getattr(by_name, key) == getattr(by_text, key)
    assert [spec.document.name for spec in (by_path, by_name, by_text)] == [str(path), str(path), "<spec>"]


def test_a_file_that_is_not_there_is_an_error_of_its_own(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_spec(tmp_path / "nowhere.yaml")


def test_bytes_that_are_no_text_are_refused_with_their_place(tmp_path):
    file = tmp_path / "latin.yaml"
    file.write_bytes(b"teaspec: 1\nmodel: a.B\nhead: norm_\xe9\n")
    with pytest.raises(SpecError) as caught:
        load_spec(file)
    (diagnostic,) = caught.value.diagnostics
    assert (diagnostic.code, diagnostic.labels[0].span.line) == ("control-character", 3)
    assert diagnostic.labels[0].span.file == str(file)


# One compilation for each class and block structure


def test_weights_sizes_and_modes_share_an_extractor():
    spec = spec_of("flux")
    first = compile_spec(spec, build("flux"))
    assert compile_spec(spec, build("flux", num_layers=1, attention_head_dim=32).train().to(torch.bfloat16)) is first
    assert compile_anew(spec, build("flux")) is not first


def test_what_does_not_touch_the_cut_shares_an_extractor():
    model, text = Plain(), spec_text(f"{Plain.__module__}:Plain")
    first = compile_spec(load_spec(text), model)
    for old, new in (
        ("probe:", "teacache: {status: none, note: later}\nprobe:"),
        ("batch: [1, 2]", "batch: [1, 5]"),
        ("probe:", "aliases: [Other]\nprobe:"),
    ):
        assert text.count(old) == 1
        assert compile_spec(load_spec(text.replace(old, new)), model) is first


def test_what_touches_the_cut_does_not():
    other = load_spec(spec_text(f"{Plain.__module__}:Plain") + "signal: temb\n")
    assert compile_spec(other, Plain()).source != compile_spec(toy_spec(Plain), Plain()).source


def test_a_subclass_has_an_extractor_of_its_own():
    class Below(Plain):
        pass

    assert compile_spec(toy_spec(Plain), Below()) is not compile_spec(toy_spec(Plain), Plain())


class ShiftedNorm(AdaNorm):
    """A norm that shifts once more."""


class LateBlock(SingleBlock):
    """Scales what the norm gives before the attention sees it."""

    def forward(self, hidden_states, temb, image_rotary_emb=None):
        normed, gate = self.norm1(hidden_states, emb=temb)
        return hidden_states + gate * self.attn(normed * 3)


def test_the_class_of_the_first_block_decides():
    plain, late, behind = Plain(), Plain(), Plain()
    late.transformer_blocks = nn.ModuleList([LateBlock(), SingleBlock()])
    behind.transformer_blocks = nn.ModuleList([SingleBlock(), LateBlock()])
    spec = toy_spec(Plain)
    assert compile_spec(spec, plain) is compile_spec(spec, behind)
    assert compile_spec(spec, plain) is not compile_spec(spec, late)
    call = next(draws()).single()
    for model in (plain, late, behind):
        received = []
        model.transformer_blocks[0].attn.register_forward_pre_hook(lambda _, args, to=received: to.append(args[0]))
        context = compile_spec(spec, model)(model, **call.kwargs)
        model(**call.kwargs)
        assert torch.equal(context.modulated_input, received[0])


def test_the_classes_inside_the_first_block_decide():
    model = Plain()
    model.transformer_blocks[0].norm1 = ShiftedNorm()
    assert compile_spec(toy_spec(Plain), model) is not compile_spec(toy_spec(Plain), Plain())


def test_one_class_with_two_kinds_of_blocks_has_two_extractors():
    spec = spec_of("hunyuan_video")
    plain, replacing = (
        compile_spec(spec, build("hunyuan_video", image_condition_type=kind)) for kind in (None, "token_replace")
    )
    assert plain.program.norm_functions[-1].parameters == ("hidden_states", "temb")
    assert "token_replace_emb" in replacing.program.norm_functions[-1].parameters
    assert compile_spec(spec, build("hunyuan_video", image_condition_type="latent_concat")) is plain
    assert compile_spec(spec, build("hunyuan_video", image_condition_type="token_replace")) is replacing


class Noising(SingleModel):
    """Draws where its dropout does."""

    def __init__(self, p):
        super().__init__()
        self.dropout = nn.Dropout(p)

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        positions = self.dropout(self.pos_embed(hidden_states))
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb, positions)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@pytest.mark.parametrize("order", [(0.0, 0.5), (0.5, 0.0)])
def test_a_model_that_draws_is_cut_otherwise(order):
    sunk = {p: len(compile_spec(toy_spec(Noising), Noising(p)).program.sunk) for p in order}
    assert sunk == {0.0: 1, 0.5: 0}


class Projecting(SingleModel):
    """Writes into what a submodule gives, which may be the caller's own tensor."""

    def __init__(self, project):
        super().__init__()
        self.extra = nn.Linear(CHANNELS, CHANNELS) if project else nn.Identity()

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        extra = self.extra(hidden_states)
        extra += 1
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb) + extra.mean()
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


def test_the_classes_of_the_models_own_submodules_decide():
    spec, call = toy_spec(Projecting), next(draws()).single()
    for project in (True, False):
        model = Projecting(project).requires_grad_(False)
        expected = observe(model, call, forward)
        assert not observe(model, call, entered(compile_spec(spec, model), compute)).differences(expected)


def test_a_refusal_is_not_kept():
    spec = toy_spec(Plain, head="norm_uot")
    messages = []
    for _ in range(2):
        with pytest.raises(SpecError) as caught:
            compile_spec(spec, Plain())
        messages.append(str(caught.value))
    assert messages[0] == messages[1]


# Threads


class Threaded(Plain):
    """Compiled by nobody before."""


def together(count, work):
    """The results of threads that begin at the same moment."""
    barrier = threading.Barrier(count)

    def run(_):
        barrier.wait()
        return work()

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def test_sixteen_threads_get_one_extractor():
    spec, models = toy_spec(Threaded), [Threaded() for _ in range(16)]
    found = together(16, lambda: compile_spec(spec, models.pop()))
    assert len({id(extractor) for extractor in found}) == 1


def test_threads_that_ask_for_one_key_make_it_once():
    cache, made, extractor = ExtractorCache(), [], compile_anew(toy_spec(Plain), Plain())

    def make():
        made.append(threading.get_ident())
        time.sleep(0.02)
        return extractor

    assert together(16, lambda: cache.get_or_make("key", make)) == [extractor] * 16
    assert len(made) == 1


def test_what_could_not_be_made_is_made_when_it_is_asked_for_again():
    cache, extractor = ExtractorCache(), compile_anew(toy_spec(Plain), Plain())
    with pytest.raises(ZeroDivisionError):
        cache.get_or_make("key", lambda: 1 // 0)
    assert cache.get_or_make("key", lambda: extractor) is extractor


def test_making_one_may_make_another():
    cache, extractor = ExtractorCache(), compile_anew(toy_spec(Plain), Plain())
    found = []

    def ask():
        found.append(cache.get_or_make("outer", lambda: cache.get_or_make("inner", lambda: extractor)))

    thread = threading.Thread(target=ask, daemon=True)  # a lock that cannot be taken twice would wait for ever
    thread.start()
    thread.join(timeout=10)
    assert found == [extractor]
    assert cache.get_or_make("inner", lambda: 1 // 0) is extractor
