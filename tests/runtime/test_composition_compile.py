"""TeaCache and torch.compile: of the blocks, and of the whole transformer.

The backend is `aot_eager`: all of dynamo and of AOTAutograd, and the very kernels that run without compiling, so that
outputs are equal bit for bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch._dynamo.exc import Unsupported
from torch._dynamo.utils import counters

import teaspec
from teaspec import apply_teacache_hook, register_extractor, remove_teacache_hook
from teaspec.catalog import SpecExtractor
from teaspec.runtime.pipeline.apply import find_teacache_hook
from tests.runtime.denoising import BRANCHES, COMPUTE_ALL, MODELS, SPECS, Denoiser, equal, flux
from tests.runtime.models import flux_pipeline, generate, tiny_flux

Compile = Callable[..., Any]

KINDS_OF_BLOCKS = {"flux": 2, "wan": 1}
"""Each is compiled once."""


@pytest.fixture(autouse=True)
def fresh() -> Iterator[None]:
    torch._dynamo.reset()
    counters.clear()
    yield
    torch._dynamo.reset()


def blocks(model: Any, backend: str = "aot_eager") -> Any:
    model.compile_repeated_blocks(fullgraph=True, backend=backend)
    return model


def in_place(model: Any, backend: str = "aot_eager") -> Any:
    model.compile(backend=backend)
    return model


def wrapped(model: Any, backend: str = "aot_eager") -> Any:
    return torch.compile(model, backend=backend)


def compiled(kind: str, how: Compile, order: str, backend: str = "aot_eager", **settings: Any) -> Denoiser:
    if order == "hooked last":
        return Denoiser.on(kind, how(MODELS[kind](), backend), **settings)
    return Denoiser.of(kind, how(Denoiser.make(kind, **settings).model, backend))


def without_recompiling(denoiser: Denoiser) -> list[torch.Tensor]:
    """Runs two generations. Behind the second step nothing is compiled, neither anew nor for the first time."""
    calls = denoiser.calls(1)
    begun = [next(calls) for _ in range(2 * len(BRANCHES))]
    graphs = counters["stats"]["unique_graphs"]
    with torch._dynamo.config.patch(error_on_recompile=True):
        found = [*begun, *calls]
        again = denoiser.generate(1)
    assert equal(again, found)
    assert counters["stats"]["unique_graphs"] == graphs > 0
    return found


@pytest.mark.parametrize(("kind", "order"), [("flux", "hooked first"), ("wan", "hooked last")])
def test_compiled_blocks(kind: str, order: str) -> None:
    expected = Denoiser.make(kind)
    denoiser = compiled(kind, blocks, order)
    assert equal(without_recompiling(denoiser), expected.generate(1))
    assert denoiser.hook.decisions == expected.hook.decisions
    assert "reuse" in [one.decision for one in denoiser.hook.decisions]
    assert counters["stats"]["unique_graphs"] == KINDS_OF_BLOCKS[kind]
    assert not counters["graph_break"]  # fullgraph=True would not have it either


WHOLE = [
    ("flux", in_place, "hooked first"),
    pytest.param("flux", in_place, "hooked last", marks=pytest.mark.thorough),
    pytest.param("flux", wrapped, "hooked first", marks=pytest.mark.thorough),
    pytest.param("flux", wrapped, "hooked last", marks=pytest.mark.thorough),
    pytest.param("wan", in_place, "hooked last", marks=pytest.mark.thorough),
]


@pytest.mark.parametrize(("kind", "how", "order"), WHOLE)
def test_a_compiled_transformer_is_compiled_in_parts(kind: str, how: Compile, order: str) -> None:
    expected = Denoiser.make(kind)
    denoiser = compiled(kind, how, order)
    assert equal(without_recompiling(denoiser), expected.generate(1))
    assert denoiser.hook.decisions == expected.hook.decisions
    assert "reuse" in [one.decision for one in denoiser.hook.decisions]
    # One break, at the hook, and nothing in the parts: what comes before the blocks, the blocks, what comes after.
    (reason,) = counters["graph_break"]
    assert "TeaCache decides at each step" in reason
    assert counters["stats"]["unique_graphs"] >= 3
    # A CUDA graph writes into the same memory again, and no version counter shows it: what decides is copied out.
    states = denoiser.hook.state_manager.states.values()
    assert [state.memory.kept.copy is None for state in (*states, *expected.hook.state_manager.states.values())] == [
        *([False] * len(BRANCHES)),
        *([True] * len(BRANCHES)),
    ]


@pytest.mark.thorough
def test_all_steps_computed_equal_the_compiled_transformer_without_teacache() -> None:
    expected = Denoiser.of("flux", in_place(flux())).generate(1)
    denoiser = compiled("flux", in_place, "hooked first", rel_l1_thresh=COMPUTE_ALL)
    assert equal(denoiser.generate(1), expected)
    remove_teacache_hook(denoiser.model)
    assert equal(denoiser.generate(1), expected)


def test_a_full_graph_is_refused_with_what_to_do() -> None:
    denoiser = Denoiser.make("flux")
    denoiser.model.compile(backend="aot_eager", fullgraph=True)
    with pytest.raises(
        Unsupported, match=r"no full graph of it. Compile the blocks instead, .*compile_repeated_blocks"
    ):
        denoiser.generate(1)
    assert denoiser.hook.decisions == ()
    remove_teacache_hook(denoiser.model)
    assert equal(denoiser.generate(1), Denoiser.of("flux", flux()).generate(1))


def test_a_pipeline_with_a_compiled_transformer() -> None:
    register_extractor("FluxTransformer2DModel", SpecExtractor(SPECS / "flux.yaml"))
    settings = {"rel_l1_thresh": 0.5, "coefficients": [0, 0, 0, 1, 0]}
    plain = flux_pipeline(tiny_flux())
    uncached = generate(plain)
    teaspec.enable(plain, **settings)
    expected = generate(plain)
    pipeline = flux_pipeline(tiny_flux())
    pipeline.transformer = torch.compile(pipeline.transformer, backend="eager")
    teaspec.enable(pipeline, **settings)
    with pytest.raises(ValueError, match="already applied to this FluxTransformer2DModel"):
        apply_teacache_hook(pipeline.transformer)
    assert torch.equal(generate(pipeline), expected)
    (found,) = teaspec.stats(pipeline).transformers
    assert sum(branch.reused for branch in found.branches) > 0
    teaspec.disable(pipeline)
    assert find_teacache_hook(pipeline.transformer) is None
    assert torch.equal(generate(pipeline), uncached)


@pytest.mark.thorough
@pytest.mark.parametrize("how", [blocks, in_place, wrapped])
def test_inductor(how: Compile) -> None:
    """Its kernels round in their own way, so that outputs are only close."""
    expected = Denoiser.make("flux")
    denoiser = compiled("flux", how, "hooked first", backend="inductor")
    for one, other in zip(without_recompiling(denoiser), expected.generate(1), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-4)
    assert [one.decision for one in denoiser.hook.decisions] == [one.decision for one in expected.hook.decisions]
