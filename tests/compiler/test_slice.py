"""slice: what stays, sinks, crosses and is dropped. That the parts compute the same is tested with the toys."""

from __future__ import annotations

import ast

import pytest
import torch

from teaspec.compiler.forms.program import Program
from tests.compiler.models import SPECS, cut, landmarks_of, program_of
from tests.toys.parts import CrossModel, SingleModel


def texts(statements) -> list[str]:
    return [statement.text for statement in statements]


def made(function) -> list[str]:
    return [ast.unparse(statement) for statement in function.body]


# The shipped specs


@pytest.mark.parametrize("name", SPECS)
def test_every_statement_has_one_place(name):
    program, landmarks = program_of(name), landmarks_of(name)
    lines = [statement.lineno for statement in landmarks.body]
    before, behind = lines[: landmarks.first], lines[landmarks.last + 1 :]
    assert sorted(s.line for s in (*program.prelude, *program.sunk)) == before
    # what stands between the loops for the postlude alone has moved there
    between = {s.line for s in (*program.blocks, *program.recomputed)}
    assert sorted(between) == lines[landmarks.first : landmarks.last + 1]
    assert sorted(s.line for s in (*program.postlude, *program.dropped)) == behind
    for part in (program.prelude, program.sunk, program.blocks, program.postlude):
        assert [s.line for s in part] == sorted(s.line for s in part)


SINKS = {  # submodules that a reused step has no use for
    "cogvideox": [],
    "flux": ["context_embedder", "pos_embed"],
    "hunyuan_video": ["rope", "context_embedder"],
    "ltx": ["rope", "caption_projection"],
    "lumina2": [],
    "qwen_image": ["txt_norm", "txt_in", "pos_embed"],
    "sd3": ["context_embedder"],
    "wan": ["rope"],
}


def called(function) -> list[str]:
    found = [n.func for s in function.body for n in ast.walk(s) if isinstance(n, ast.Call)]
    return [n.attr for n in found if isinstance(n, ast.Attribute) and ast.unparse(n.value) == "self"]


@pytest.mark.parametrize("name", SPECS)
def test_what_only_the_blocks_need_sinks(name):
    program = program_of(name)
    blocks = [*called(program.blocks_function)]
    assert [call for call in blocks if not call.startswith("_")][: len(SINKS[name])] == SINKS[name]
    assert set(SINKS[name]).isdisjoint(called(program.extract))


@pytest.mark.parametrize("name", SPECS)
def test_none_of_these_models_needs_the_text_stream_behind_its_blocks(name):
    program = program_of(name)
    assert [(value.name, value.kind, value.maybe_unbound) for value in program.live] == [
        ("hidden_states", "stream", False)
    ]
    assert program.encoder is None


@pytest.mark.parametrize("name", SPECS)
def test_each_part_takes_what_it_reads_and_no_more(name):
    program = program_of(name)
    for part in (program.blocks_function, program.postlude_function, *program.norm_functions):
        read = {n.id for s in part.body for n in ast.walk(s) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
        assert set(part.parameters) <= read
        assert len(set(part.parameters)) == len(part.parameters)
    assert program.postlude_function.parameters[-1] == program.hidden
    bound = {n.id for s in program.extract.body for n in ast.walk(s) if isinstance(n, ast.Name)}
    for part in (program.blocks_function, program.postlude_function, *program.norm_functions[-1:]):
        assert set(part.parameters) <= bound | set(program.extract.parameters)


def test_the_modulated_input_takes_what_the_first_block_needs():
    program = program_of("qwen_image")
    assert program.norm_functions[-1].parameters == ("hidden_states", "modulate_index", "temb")
    assert ast.unparse(program.modulated) == "modulated_input(self, hidden_states, modulate_index, temb)"


def test_a_named_signal_needs_no_function():
    program = program_of("wan")
    assert program.norm_functions == ()
    assert (ast.unparse(program.modulated), program.signal) == ("temb", "temb")


def test_a_sunk_statement_reads_the_version_it_read_before():
    program = program_of("wan")
    extract, blocks = made(program.extract), made(program.blocks_function)
    save, rebinding = (
        extract.index("hidden_states_v1 = hidden_states"),
        extract.index("hidden_states = self.patch_embedding(hidden_states)"),
    )
    assert save == rebinding - 1
    assert blocks[0] == "rotary_emb = self.rope(hidden_states_v1)"
    assert "hidden_states_v1" in program.blocks_function.parameters


# Models of this file


class Versions(SingleModel):
    """Two sunk statements read two versions of a name that is rebound twice; a local has the name of a version."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states_v1 = hidden_states.shape[1]
        early = hidden_states.mean()
        hidden_states = self.x_embedder(hidden_states)
        late = hidden_states.mean()
        hidden_states = hidden_states * 2
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb) * early * late
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states) / hidden_states_v1


def test_each_version_has_a_name_of_its_own():
    program = cut(Versions())
    assert texts(program.sunk) == ["early = hidden_states.mean()", "late = hidden_states.mean()"]
    first, second = (s.split(" = ")[0] for s in made(program.extract) if s.endswith(" = hidden_states"))
    assert len({first, second, "hidden_states_v1"}) == 3
    assert made(program.blocks_function)[:2] == [f"early = {first}.mean()", f"late = {second}.mean()"]


class Staying(CrossModel):
    """What is seen from outside stays, though no reused step needs its result."""

    def forward(self, hidden_states, timestep, encoder_hidden_states):
        temb = self.time_embed(timestep)
        text = self.context_embedder(encoder_hidden_states)
        noise = torch.randn(1)
        if hidden_states.shape[1] > 64:
            raise ValueError("too many tokens")
        print("called")
        self.calls = 1
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, text, temb) + noise
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


def test_what_draws_raises_or_shows_stays():
    program = cut(Staying())
    assert texts(program.sunk) == ["text = self.context_embedder(encoder_hidden_states)"]


class Maybe(SingleModel):
    """A name of the prelude that may be unbound reaches the blocks, and another one the postlude."""

    def forward(self, hidden_states, timestep, scale=None):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        if scale is not None:
            print(scale)
            factor, divisor = scale, scale
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
            if scale is not None:
                hidden_states = hidden_states * factor
        hidden_states = self.norm_out(hidden_states, temb)
        if scale is not None:
            hidden_states = hidden_states / divisor
        return self.proj_out(hidden_states)


def test_names_that_may_be_unbound_are_handed_over_marked():
    program = cut(Maybe())
    mark = "try:\n    {0}\nexcept NameError:\n    {0} = UNBOUND"
    unmark = "if {0} is UNBOUND:\n    del {0}"
    assert made(program.extract)[-2:] == [mark.format("divisor"), mark.format("factor")]
    assert made(program.blocks_function)[0] == unmark.format("factor")
    assert made(program.postlude_function)[0] == unmark.format("divisor")
    assert not any("UNBOUND" in s for s in made(program_of("flux").extract))


class Crossing(SingleModel):
    """Crosses in all ways: a stream, a value of the blocks, one that depends on no block, one under a condition."""

    def forward(self, hidden_states, timestep, deep=False):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        text = hidden_states.mean(1)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
            text = text + hidden_states.mean(1)
            if deep:
                depth = hidden_states.std()
        factor = temb.mean() * 2
        width = hidden_states.std()
        hidden_states = hidden_states + 1
        unused = text.sum()  # noqa: F841
        hidden_states = self.norm_out(hidden_states, temb)
        mask = hidden_states > 0
        mask = mask[:, :1]
        if deep:
            width = width + depth
        return self.proj_out(hidden_states) * factor * width, text


@pytest.fixture(scope="module")
def crossing() -> Program:
    return cut(Crossing())


def test_what_crosses_is_told_apart(crossing):
    assert [(value.name, value.kind, value.maybe_unbound) for value in crossing.live] == [
        ("hidden_states", "stream", False),
        ("depth", "carried", True),
        ("text", "stream", False),
        ("width", "carried", False),
    ]


def test_the_blocks_return_and_the_postlude_takes_them_in_one_order(crossing):
    names = tuple(value.name for value in crossing.live)
    assert made(crossing.blocks_function)[-1] == f"return ({', '.join(names)})"
    assert crossing.postlude_function.parameters == ("deep", "temb", *names)


def test_what_depends_on_no_block_is_computed_behind_them(crossing):
    assert texts(crossing.recomputed) == ["factor = temb.mean() * 2"]
    assert made(crossing.postlude_function)[1] == "factor = temb.mean() * 2"
    assert "factor = temb.mean() * 2" not in made(crossing.blocks_function)


def test_what_reaches_no_result_is_dropped(crossing):
    assert texts(crossing.dropped) == [
        "unused = text.sum()",
        "mask = hidden_states > 0",
        "mask = mask[:, :1]",
    ]


class Rebound(SingleModel):
    """The list that the postlude makes longer is a new one."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        features = []
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
            features.append(hidden_states.mean(1))
        hidden_states = self.norm_out(hidden_states, temb)
        features = [*features, hidden_states.mean(1)]
        return self.proj_out(hidden_states), torch.stack(features)


def test_the_advice_for_a_changed_carried_value_helps():
    assert [value.name for value in cut(Rebound()).live] == ["hidden_states", "features"]
