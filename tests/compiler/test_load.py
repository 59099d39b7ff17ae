"""load: text becomes an extractor that debuggers can show and that takes its arguments as the forward does."""

from __future__ import annotations

import ast
import inspect
import linecache

import pytest
import torch

from teaspec.compiler.passes.emit import emit
from teaspec.compiler.passes.load import LiveClosure, load
from teaspec.compiler.pipeline import compile_anew
from tests.compiler.models import SPECS, build, program_of, spec_of, toy_spec
from tests.compiler.split import compute
from tests.toys.parts import SingleModel
from tests.toys.toy import draws


@pytest.fixture(scope="module")
def flux():
    return compile_anew(spec_of("flux"), build("flux"))


def test_debuggers_find_the_source(flux):
    assert "".join(linecache.getlines(flux.file)) == flux.source
    linecache.checkcache()  # what debuggers call: it forgets files that are not on disk
    assert linecache.getline(flux.file, 1) == flux.source.splitlines(keepends=True)[0]


def test_the_file_name_is_readable(flux):
    assert flux.file.startswith("<teaspec extractor of FluxTransformer2DModel ")
    assert flux.file.endswith(">")
    assert flux.file in {frame.filename for frame in _frames(flux)}


def _frames(extractor):
    """The frames below a call that its model refuses."""
    with pytest.raises(AttributeError, match="no attribute 'to'") as caught:
        extractor(build("flux"), hidden_states=torch.zeros(1, 2, 4), timestep=1.0)
    return inspect.getinnerframes(caught.tb)


def test_a_file_name_stands_for_one_text(flux):
    again = compile_anew(spec_of("flux"), build("flux"))
    assert (again.file, again.source) == (flux.file, flux.source)
    other = load(flux.source + "\nMORE = 1\n", flux.program, {})
    assert other.file != flux.file
    assert "".join(linecache.getlines(flux.file)) == flux.source


@pytest.mark.parametrize("name", SPECS)
def test_what_is_loaded_is_what_was_written(name):
    program = program_of(name)
    text = emit(program, "spec.yaml")
    loaded = load(text.text, program, text.closures)
    assert loaded.source == text.text
    assert loaded.program is program
    assert loaded.live == ("hidden_states",)
    assert repr(loaded) == f"<extractor of {program.class_name}, live: hidden_states>"


SHARED = [1.0]


class Remembering(SingleModel):
    """Its defaults are lists that it writes to, and a global of its file."""

    def forward(self, hidden_states, timestep, seen=[], *, marks=[0], shared=SHARED):  # noqa: B006
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        seen.append(hidden_states.shape[1])
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        marks[0] += 1
        shared[0] *= 2
        return self.proj_out(hidden_states)


def test_defaults_are_the_very_objects_of_the_forward():
    model = Remembering()
    extractor = compile_anew(toy_spec(Remembering), model)
    (seen,), keywords = Remembering.forward.__defaults__, Remembering.forward.__kwdefaults__
    call = next(draws()).single()
    for run in (lambda **k: model(**k), lambda **k: compute(extractor(model, **k))):
        run(**call.kwargs)
    extractor.enter(model, (), call.kwargs, compute)
    assert (len(seen), keywords["marks"], SHARED) == (3, [3], [8.0])
    assert keywords["shared"] is SHARED


class Reading(SingleModel):
    """Says what its frame is called."""

    def forward(self, hidden_states, timestep):
        temb = self.time_embed(timestep)
        hidden_states = self.x_embedder(hidden_states)
        for block in self.transformer_blocks:
            hidden_states = block(hidden_states, temb)
        hidden_states = self.norm_out(hidden_states, temb)
        return self.proj_out(hidden_states)


@pytest.mark.parametrize(
    ("args", "kwargs"),
    [((), {}), ((1, 2, 3), {}), ((1,), {"timestep": 1, "hidden_states": 2}), ((1, 2), {"scale": 3})],
)
def test_wrong_arguments_are_refused_in_the_words_of_the_forward(args, kwargs):
    model = Reading()
    extractor = compile_anew(toy_spec(Reading), model)
    messages = []
    for run in (model.forward, lambda *a, **k: extractor(model, *a, **k)):
        with pytest.raises(TypeError) as caught:
            run(*args, **kwargs)
        messages.append(str(caught.value))
    assert messages[0] == messages[1]
    assert messages[0].startswith("Reading.forward() ")


def test_generated_code_is_only_what_its_text_says(flux):
    functions = {node.name for node in ast.parse(flux.source).body if isinstance(node, ast.FunctionDef)}
    assert {"extract", "run_blocks", "run_postlude", "modulated_input"} <= functions


def test_a_closure_is_read_when_it_is_asked_for():
    factor = 1.0

    class Outer:
        def method(self):
            return factor, __class__

    closure = LiveClosure(Outer.method)
    assert (closure.factor, closure.__class__) == (1.0, Outer)
    factor = 2.0
    assert closure.factor == 2.0
    with pytest.raises(AttributeError):
        _ = closure.unknown


def test_a_closure_that_is_not_bound_yet_raises_as_it_would():
    def outer():
        def inner():
            return late

        closure = LiveClosure(inner)
        with pytest.raises(ValueError, match="empty"):
            _ = closure.late
        late = 1
        return closure.late

    assert outer() == 1
