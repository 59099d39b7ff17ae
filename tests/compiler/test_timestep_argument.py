"""Which argument of a forward is its timestep, and which are made anew at each step: shipped specs, research code."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch

from teaspec.compiler import compile_spec, load_spec
from teaspec.compiler.passes.arguments import tell_arguments
from teaspec.compiler.passes.import_model import import_model
from teaspec.compiler.passes.inline import inline
from teaspec.compiler.passes.locate import locate
from teaspec.compiler.passes.resolve import resolve
from teaspec.compiler.report import SpecError
from teaspec.compiler.rules.embedding import as_bound_here
from teaspec.runtime.contract.assembly import Extractor, Part
from tests.compiler.models import build, spec_of, toy_spec
from tests.toys.parts import SingleModel

SPECS = {path.stem: path for path in sorted(Path(__file__).parents[2].glob("specs/*.yaml"))}

CONTROLNET = ("hidden_states", "controlnet_block_samples", "controlnet_single_block_samples")
FOUND = {  # all others: `timestep`, and the first argument
    "ace_step": (("timestep",), ("hidden_states", "timestep_r")),
    "anyflow": (("timestep",), ("hidden_states", "r_timestep")),
    "anyflow_far": (("timestep",), ("hidden_states", "r_timestep")),
    "bria": (("timestep",), CONTROLNET),
    "chroma": (("timestep",), CONTROLNET),
    "cosmos": (("timestep",), ("hidden_states", "block_controlnet_hidden_states")),
    "cosmos3_omni": (
        ("vision_timesteps",),
        ("vision_tokens", "sound_tokens", "sound_timesteps", "action_tokens", "action_timesteps"),
    ),
    "flux": (("timestep",), CONTROLNET),
    "flux3": (("timestep",), ("hidden_states", "target_timestep")),
    "hidream_image": (("timesteps",), ("hidden_states",)),
    "hunyuan_dit": (("timestep",), ("hidden_states", "controlnet_block_samples")),
    "hunyuan_image": (("timestep",), ("hidden_states", "timestep_r")),
    "hunyuan_video15": (("timestep",), ("hidden_states", "timestep_r")),
    "kandinsky6": (("timestep",), ("hidden_states", "audio_hidden_states")),
    "ltx2": (("timestep",), ("hidden_states", "audio_hidden_states", "audio_timestep", "sigma", "audio_sigma")),
    "lumina_next": (("timestep",), ("hidden_states", "image_rotary_emb")),
    "minimax_h3": (("timestep",), ("hidden_states", "audio_hidden_states", "timestep_indices")),
    "qwen_image": (("timestep",), ("hidden_states", "controlnet_block_samples")),
    "rfd4_proteina": (("bb_ca_time",), ("bb_ca", "local_latents", "local_latents_time", "recycle_depth")),
    "sana": (("timestep",), ("hidden_states", "controlnet_block_samples")),
    "sana_video": (("timestep",), ("hidden_states", "controlnet_block_samples")),
    "sd3": (("timestep",), ("hidden_states", "block_controlnet_hidden_states")),
    "t5_film_decoder": (("decoder_noise_time",), ("decoder_input_tokens",)),
    "z_image": (("t",), ("x", "controlnet_block_samples")),
}


def told(spec, module):
    source = inline(spec, resolve(spec, module))
    spec = as_bound_here(spec, source)
    arguments = tell_arguments(spec, source, locate(spec, source))
    return arguments.timestep, arguments.varying


@pytest.mark.parametrize("name", SPECS)
def test_the_arguments_of_a_shipped_spec(name):
    """Red where `varying` of a spec is lost, or the embedding call is not followed back (t5_film_decoder)."""
    spec = load_spec(SPECS[name])
    module = import_model(spec)(**copy.deepcopy(dict(spec.probe.alternatives[0].config)))
    assert told(spec, module) == FOUND.get(name, (("timestep",), ("hidden_states",)))


class Research(SingleModel):
    """A model whose embedding takes what a forward of research code gives it."""

    def embed(self, one=None, *others, time=None):
        return self.time_embed(others[0] if time is None else time)


class Edm(Research):
    def forward(self, x, noise_labels, class_labels=None):
        c_noise = noise_labels.log() / 4
        temb = self.time_embed(c_noise.flatten().to(x.dtype))
        hidden_states = self.x_embedder(x)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        return self.proj_out(self.norm_out(hidden_states, temb))


class LogSnr(Research):
    def forward(self, x, log_snr, y):
        log_snr = log_snr.clamp(-20.0, 20.0)
        t = torch.sigmoid(0.5 * log_snr) * 0.5 if y is None else torch.sigmoid(log_snr)
        temb = self.time_embed(t.expand(x.shape[0]))
        hidden_states = self.x_embedder(x)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        return self.proj_out(self.norm_out(hidden_states, temb))


class Helper(Research):
    def prepare(self, x, when, text):
        when = torch.stack([when, when])[0]
        return self.x_embedder(x), (text, when.to(x))

    def forward(self, x, text, rate):
        hidden_states, (text, when) = self.prepare(x, rate, text)
        temb = self.time_embed(when)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        return self.proj_out(self.norm_out(hidden_states, temb))


class Two(Research):
    def forward(self, x, timestep, guidance, pooled):
        temb = self.embed(guidance, pooled + timestep)
        hidden_states = self.x_embedder(x)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        return self.proj_out(self.norm_out(hidden_states, temb))


class TextFirst(Research):
    def forward(self, x, prompt_embeds, level):
        temb = self.embed(prompt_embeds, level)
        hidden_states = self.x_embedder(x)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        return self.proj_out(self.norm_out(hidden_states, temb))


class Keyword(Research):
    def forward(self, x, y, rate):
        temb = self.embed(y, time=rate.view(-1))
        hidden_states = self.x_embedder(x)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        return self.proj_out(self.norm_out(hidden_states, temb))


class Spread(Research):
    def forward(self, x, **cond):
        temb = self.time_embed(cond["noise_level"])
        hidden_states = self.x_embedder(x)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        return self.proj_out(self.norm_out(hidden_states, temb))


class Branches(Research):
    def forward(self, x, start, end=None):
        t = start
        if end is not None:
            t = torch.zeros_like(start) + (end - start)
        with torch.no_grad():
            for _ in range(2):
                t = t * 0.5
        temb = self.time_embed(t)
        hidden_states = self.x_embedder(x)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        return self.proj_out(self.norm_out(hidden_states, temb))


class Latents(Research):
    def forward(self, x, context):
        temb = self.time_embed(x.mean(dim=(1, 2)))
        hidden_states = self.x_embedder(x)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        return self.proj_out(self.norm_out(hidden_states, temb))


class Mixed(Research):
    def forward(self, signal, level, reference):
        temb = self.time_embed(level * reference.shape[0] / reference.size(0) + 0 * signal.mean(dim=(1, 2)))
        hidden_states = self.x_embedder(signal)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        return self.proj_out(self.norm_out(hidden_states, temb))


class Dispatched(Research):
    def forward(self, x, when, y=None):
        return self.inner(x, moment=when * 1000, label=y)

    def inner(self, x, moment, label):
        temb = self.time_embed(moment)
        hidden_states = self.x_embedder(x)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        return self.proj_out(self.norm_out(hidden_states, temb))


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (Edm, ("noise_labels",)),  # arithmetic, and a shape and dtype that are no value
        (LogSnr, ("log_snr",)),
        (Helper, ("rate",)),  # a helper's tuple in a tuple
        (Two, ("timestep",)),  # of a usual name, wherever it goes in
        (TextFirst, ("level",)),
        (Keyword, ("rate",)),
        (Spread, ("noise_level",)),
        (Branches, ("start", "end")),
        (Mixed, ("level",)),  # made of a shape and of the latents, too
        (Latents, ()),  # an embedding of the latents embeds no timestep
    ],
)
def test_the_timestep_of_research_code(model, expected):
    """Red where shapes or latents count as what is embedded (Mixed), or the first argument always wins (TextFirst)."""
    embed = "embed" if "embed" in model.forward.__code__.co_names else "time_embed"
    first = model.forward.__code__.co_varnames[1]
    assert told(toy_spec(model, embed=f"{embed} -> temb"), model()) == (expected, (first,))


def test_a_method_behind_a_dispatch_is_followed_to_the_forward():
    """Red where the parameters of the method are taken for those of the forward."""
    assert told(toy_spec(Dispatched, more="forward: inner"), Dispatched()) == (("when",), ("x",))


def test_the_spec_comes_before_the_source():
    """Red where either key is not read."""
    spec = toy_spec(Edm, more="timestep: class_labels\nvarying: [x, noise_labels]")
    assert told(spec, Edm()) == (("class_labels",), ("x", "noise_labels"))


def codes(model, more):
    with pytest.raises(SpecError) as caught:
        compile_spec(toy_spec(model, more=more), model())
    return [diagnostic.code for diagnostic in caught.value.diagnostics]


def test_every_argument_that_is_none_is_named():
    """Red where only the first is."""
    more = "timestep: noise_label\nvarying: [x, nothing]\nbypass: [class_label = 1, noise_labels]"
    assert codes(Edm, more) == ["unknown-argument"] * 3


def test_a_rule_that_is_wrong_is_not_hidden_by_an_extractor_of_before():
    """Red where `bypass` is no part of what extractors are kept by."""
    compile_spec(toy_spec(Edm), Edm())
    assert codes(Edm, "bypass: [noise_label]") == ["unknown-argument"]


def test_a_forward_that_takes_anything_takes_any_name():
    """Red where `**` parameters are not asked for."""
    assert told(toy_spec(Spread, more="varying: [x, anything]"), Spread()) == (("noise_level",), ("x", "anything"))


class Older(Research):
    """Another model with the same landmarks, which takes less."""

    def forward(self, x, noise_labels):
        temb = self.time_embed(noise_labels)
        hidden_states = self.x_embedder(x)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        return self.proj_out(self.norm_out(hidden_states, temb))


def test_a_model_that_takes_less_is_told_what_it_takes():
    """Red where an alias, or another package's class of that name, has to take all that the spec names."""
    more = "aliases: [Older]\ntimestep: rate\nvarying: [x, extra]\nbypass: [record]"
    assert told(toy_spec(Older, more="varying: [x]"), Older()) == (("noise_labels",), ("x",))
    assert codes(Edm, "timestep: rate") == ["unknown-argument"]
    assert told(toy_spec(Edm, more=more), Older()) == (("noise_labels",), ("x",))


def test_an_extractor_and_its_text_say_so():
    """Red where emit leaves the arguments out."""
    extractor = compile_spec(spec_of("flux"), build("flux"))
    expected = FOUND["flux"]
    assert (extractor.timestep, extractor.varying) == expected
    namespace = {"__name__": "generated"}
    exec(extractor.source, namespace)
    assert (namespace["extractor"].timestep, namespace["extractor"].varying) == expected


def test_text_of_before_knows_nothing():
    """Red where the arguments are required."""
    extractor = Extractor(Part(lambda module: None))
    assert (extractor.timestep, extractor.varying) == (None, None)


def test_the_toys_run():
    """What is told here is told of code that works."""
    x, when = torch.randn(2, 3, 4), torch.rand(2) + 0.1
    calls = {
        Edm: (x, when), LogSnr: (x, when, when), Helper: (x, when, when), Branches: (x, when),
        Dispatched: (x, when), Keyword: (x, when, when), Two: (x, when, when, when), TextFirst: (x, when, when),
    }  # fmt: skip
    with torch.no_grad():
        assert all(model()(*call).shape == x.shape for model, call in calls.items())
        assert Spread()(x, noise_level=when).shape == x.shape
        assert Latents()(x, None).shape == Mixed()(x, when, x).shape == x.shape
