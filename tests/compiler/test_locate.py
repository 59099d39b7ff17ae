"""locate: the landmarks of the shipped specs, and what it reports when several are wrong."""

from __future__ import annotations

import ast
from pathlib import Path

import diffusers
import pytest

from teaspec.compiler.passes.locate import locate
from teaspec.compiler.passes.resolve import resolve
from teaspec.compiler.pipeline import load_spec
from teaspec.compiler.report import SpecError
from tests.compiler.models import SPECS, landmarks_of, source_of, spec_of, toy_spec
from tests.toys.parts import SingleModel
from tests.toys.refused_landmarks import Plain

SITE = Path(diffusers.__file__).parents[1]


@pytest.mark.parametrize("name", SPECS)
def test_each_landmark_points_at_the_name_in_the_models_file(name):
    spec, found = spec_of(name), landmarks_of(name).found
    roles = [landmark.role for landmark in found]
    assert roles == ["embed", "norm", *["loop"] * roles.count("loop"), "head"]
    assert {landmark.label for landmark in found if landmark.role == "loop"} == set(spec.blocks.loops)
    named = {"embed": spec.embed.call, "norm": spec.norm.rpartition(".")[2], "head": spec.head}
    for landmark in found:
        lines = (SITE / landmark.span.file).read_text(encoding="utf-8").splitlines()
        line = lines[landmark.span.line - 1]
        assert landmark.source_line == line
        shown = line[landmark.span.column - 1 : landmark.span.end_column - 1]
        assert shown.startswith(f"self.{named.get(landmark.role, landmark.label)}")


CUTS = {  # first and last statement of the blocks
    "cogvideox": ("for i, block in enumerate(self.transformer_blocks):",) * 2,
    "flux": (
        "for index_block, block in enumerate(self.transformer_blocks):",
        "for index_block, block in enumerate(self.single_transformer_blocks):",
    ),
    "hunyuan_video": ("if torch.is_grad_enabled() and self.gradient_checkpointing:",) * 2,
    "ltx": ("for block in self.transformer_blocks:",) * 2,
    "lumina2": ("for layer in self.layers:",) * 2,
    "qwen_image": ("for index_block, block in enumerate(self.transformer_blocks):",) * 2,
    "sd3": ("for index_block, block in enumerate(self.transformer_blocks):",) * 2,
    "wan": ("if torch.is_grad_enabled() and self.gradient_checkpointing:",) * 2,
}


@pytest.mark.parametrize("name", SPECS)
def test_the_cut_is_around_the_loops(name):
    landmarks = landmarks_of(name)
    ends = (landmarks.body[landmarks.first], landmarks.body[landmarks.last])
    assert tuple(ast.unparse(statement).splitlines()[0] for statement in ends) == CUTS[name]


def test_no_docstring_is_cut():
    node = source_of("flux").model.forward.node
    assert ast.get_docstring(node) is not None
    assert landmarks_of("flux").body == tuple(node.body[1:])


class Behind(SingleModel):
    """Rebinds its stream behind the loop, reads it, and rebinds it again behind the head."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        length = hidden_states.shape[1]
        hidden_states = hidden_states * length
        scale = hidden_states.mean()
        hidden_states = self.norm_out(hidden_states, temb)
        hidden_states = hidden_states * scale
        return self.proj_out(hidden_states)


def test_blocks_end_with_the_last_rebinding_before_the_head():
    spec = toy_spec(Behind)
    landmarks = locate(spec, resolve(spec, Behind()))
    assert ast.unparse(landmarks.body[landmarks.last]) == "hidden_states = hidden_states * length"


@pytest.mark.parametrize(("signal", "expected"), [("norm", None), ("temb", ("emb",)), ("t_emb", ("t_emb",))])
def test_the_signal_is_the_norm_the_embedding_or_a_name(signal, expected):
    text = SPECS["cogvideox"].read_text(encoding="utf-8").replace("signal: temb", f"signal: {signal}")
    landmarks = locate(load_spec(text), source_of("cogvideox"))
    assert (landmarks.temb, landmarks.signal) == (("emb",), expected)


def test_a_single_stream_model_has_no_encoder_stream():
    assert (landmarks_of("wan").hidden, landmarks_of("wan").encoder) == ("hidden_states", None)
    assert (landmarks_of("flux").hidden, landmarks_of("flux").encoder) == ("hidden_states", "encoder_hidden_states")


class OtherNames(SingleModel):
    """Its first parameter and its streams have names of their own."""

    def forward(this, x, t):  # noqa: N805
        vec = this.time_embed(t)
        x = this.x_embedder(x)
        for block in this.transformer_blocks:
            x = block(x, vec)
        x = this.norm_out(x, vec)
        return this.proj_out(x)


def test_the_forward_may_call_its_model_and_its_streams_as_it_likes():
    spec = toy_spec(OtherNames, embed="time_embed -> vec", more="streams: {hidden: x}")
    landmarks = locate(spec, resolve(spec, OtherNames()))
    assert (landmarks.hidden, landmarks.temb) == ("x", ("vec",))
    assert [landmark.role for landmark in landmarks.found] == ["embed", "norm", "loop", "head"]


def mistakes(model=Plain, **spec):
    made = toy_spec(model, **spec)
    with pytest.raises(SpecError) as caught:
        locate(made, resolve(made, model()))
    return [(item.code, item.labels[0].span.line) for item in caught.value.diagnostics]


def test_independent_mistakes_are_reported_together_by_position():
    found = mistakes(embed="time_embde -> temb", head="norm_uot", more="signal: no_such_name")
    assert found == [("unknown-embed-call", 3), ("unknown-head", 8), ("unknown-signal", 9)]
    assert mistakes(embed="time_embde -> temb", loops="transfomer_blocks") == [
        ("unknown-embed-call", 3),
        ("unknown-block-loop", 7),
    ]
    assert mistakes(loops="transfomer_blocks, other_blocks") == [("unknown-block-loop", 7), ("unknown-block-loop", 7)]


def test_what_follows_from_a_mistake_is_not_reported():
    # The norm path begins with the loop as it should be called; head and streams cannot be judged without loops.
    assert mistakes(loops="transfomer_blocks", head="norm_uot", style="dual") == [("unknown-block-loop", 7)]
    # Which streams the loops thread is not looked at where the streams are misnamed.
    assert mistakes(more="streams: {hidden: hiden_states}") == [("unknown-stream", 9)]


def test_a_misspelt_embedding_is_not_reported_as_the_signal_too():
    assert mistakes(embed="time_embed -> tmeb", more="signal: temb") == [("embed-binds-other-name", 3)]
