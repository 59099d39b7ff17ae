"""The embedding that a context carries: where the forward has none, and where its modes bind different names."""

from __future__ import annotations

import pytest
import torch

from teaspec.compiler.pipeline import compile_spec, load_spec
from tests.toys.point_07_embeddings import NoEmbedding, TwoNames, TwoNamesUnbound
from tests.toys.toy import Draw, spec_text

DRAW = Draw(2, 5, 3, torch.float32)


def context_of(model_class, call, **spec):
    model = model_class().eval()
    text = spec_text(f"{model_class.__module__}:{model_class.__name__}", **spec)
    with torch.no_grad():
        return model, compile_spec(load_spec(text), model)(model, **call.fresh().kwargs)


def test_without_an_embedding_call_the_modulated_input_stands_for_it():
    _, context = context_of(NoEmbedding, DRAW.single(), embed="none")
    assert context.temb is context.modulated_input
    context.validate()


MODES = [
    (TwoNames, "temb or noisy", {}, 1),
    (TwoNames, "temb or noisy", {"clean": torch.tensor([0.5, 0.25])}, 1),
    (TwoNamesUnbound, "one or two", {}, 1),
    (TwoNamesUnbound, "one or two", {"double": True}, 2),
]


@pytest.mark.parametrize(("model_class", "names", "extra", "factor"), MODES)
@pytest.mark.parametrize("signal", ["norm", "temb"])
def test_of_several_names_the_one_with_a_value_is_the_embedding(model_class, names, extra, factor, signal):
    call = DRAW.single(**extra)
    model, context = context_of(model_class, call, embed=f"time_embed -> {names}", more=f"signal: {signal}")
    with torch.no_grad():
        expected = model.time_embed(factor * call.kwargs["timestep"])
    assert torch.equal(context.temb, expected)
    assert torch.equal(context.modulated_input, expected) == (signal == "temb")
    context.validate()
