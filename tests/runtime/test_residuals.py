from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.runtime.driving import choices, hooked, latents, reasons, signal
from tests.runtime.models import (
    DualStream,
    SingleStream,
    extract_dual,
    extract_single,
)


def test_live_streams_get_residuals_and_other_live_values_are_carried_over() -> None:
    plain, (module, hook) = DualStream(), hooked(DualStream(), extract_dual)
    module.load_state_dict(plain.state_dict())
    with torch.no_grad():
        assert torch.equal(module(latents(), latents(9), signal(1.0)), plain(latents(), latents(9), signal(1.0)))
        (state,) = hook.state_manager.states.values()
        text, hidden = state.previous_residual_encoder.clone(), state.previous_residual.clone()
        assert list(state.previous_live) == ["live.scale"]
        scale = state.previous_live["live.scale"].clone()
        for seed in (1, 2):
            reused = module(latents(seed), latents(5), signal(1.1))
            expected = torch.cat([latents(5) * 3 + text, latents(seed) * 2 + hidden], dim=1) * scale
            assert torch.equal(reused, expected)
    assert choices(hook) == ["compute", "reuse", "reuse"]


def test_live_values_that_postprocess_overwrites_survive() -> None:
    def extract(module: DualStream, *args: Any) -> Any:
        context = extract_dual(module, *args)
        finish = context.postprocess
        context.postprocess = lambda hidden, text, scale: finish(hidden, text, scale.mul_(2))
        return context

    module, _ = hooked(DualStream(), extract)
    with torch.no_grad():
        module(latents(), latents(9), signal(1.0))
        assert torch.equal(module(latents(), latents(9), signal(1.1)), module(latents(), latents(9), signal(1.2)))


def test_two_live_names_may_stand_for_one_tensor() -> None:
    def extract(module: DualStream, *args: Any) -> Any:
        context = extract_dual(module, *args)
        blocks, text = context.run_transformer_blocks, context.encoder_hidden_states
        context.extra_states = {"live": {"text": text, "same": text}}
        context.run_transformer_blocks = lambda: (*blocks()[:2], text + 7)
        context.postprocess = lambda hidden, text, same: torch.cat([hidden, text, same], dim=1)
        return context

    module, hook = hooked(DualStream(), extract)
    with torch.no_grad():
        outputs = [module(latents(), latents(9), signal(level)) for level in (1.0, 1.1)]
    assert choices(hook) == ["compute", "reuse"]
    torch.testing.assert_close(outputs[1], outputs[0])
    (state,) = hook.state_manager.states.values()
    assert (state.previous_residual_encoder is not None, list(state.previous_live)) == (True, ["live.same"])


def test_a_plain_dual_stream_context_sees_its_encoder_states_updated() -> None:
    seen: list[Any] = []

    def extract(module: DualStream, *args: Any) -> Any:
        context = extract_dual(module, *args)
        blocks = context.run_transformer_blocks
        context.extra_states = None
        context.run_transformer_blocks = lambda: blocks()[:2]
        context.postprocess = lambda hidden: seen.append((context.hidden_states is hidden, context)) or hidden
        return context

    module, hook = hooked(DualStream(), extract)
    with torch.no_grad():
        module(latents(), latents(9), signal(1.0))
        module(latents(), latents(8), signal(1.1))
    (state,) = hook.state_manager.states.values()
    assert [hidden_is_current for hidden_is_current, _ in seen] == [True, True]
    assert torch.equal(seen[1][1].encoder_hidden_states, latents(8) * 3 + state.previous_residual_encoder)


def test_a_dual_stream_context_whose_blocks_return_one_stream_is_fine() -> None:
    def extract(module: DualStream, *args: Any) -> Any:
        context = extract_dual(module, *args)
        blocks = context.run_transformer_blocks
        context.extra_states, context.postprocess = None, lambda hidden: hidden
        context.run_transformer_blocks = lambda: blocks()[:1]
        return context

    module, hook = hooked(DualStream(), extract)
    module(latents(), latents(9), signal(1.0))
    module(latents(), latents(9), signal(1.1))
    (state,) = hook.state_manager.states.values()
    assert state.previous_residual_encoder is None
    assert choices(hook) == ["compute", "reuse"]


@pytest.mark.parametrize("inference", [False, True])
def test_blocks_that_write_into_their_input_do_not_corrupt_the_residual(inference: bool) -> None:
    (module, _), (in_place, hook) = hooked(DualStream(), extract_dual), hooked(DualStream(in_place=True), extract_dual)
    in_place.load_state_dict(module.state_dict())
    with torch.inference_mode(inference), torch.no_grad():
        for seed, level in enumerate([1.0, 1.1, 2.0, 2.1, 4.0, 4.1]):
            arguments = (latents(seed), latents(seed + 9), signal(level))
            assert torch.equal(in_place(*arguments), module(*arguments))
    assert choices(hook) == ["compute", "reuse"] * 3


def test_blocks_that_leave_their_input_alone_pay_for_one_copy_in_all() -> None:
    module, hook = hooked(thresh=1e-6)
    kept = []
    keep = hook._watch.keep

    def spy(key: str, tensor: torch.Tensor, *storage: Any) -> Any:
        kept.append((key, keep(key, tensor, *storage)))
        return kept[-1][1]

    hook._watch.keep = spy
    for step in range(1, 5):
        module(latents(), signal(float(step)))
    copies = [key for key, entry in kept if entry.copy is not None]
    assert sorted(copies) == ["hidden_states", "modulated_input"]


def test_blocks_that_begin_to_write_in_place_later_cost_one_step_not_the_image() -> None:
    module, hook = hooked()
    with torch.no_grad():
        module(latents(), signal(1.0))
        module.blocks[0].in_place = module.blocks[1].in_place = True
        for level in (8.0, 8.1, 8.2):
            module(latents(), signal(level))
    assert choices(hook) == ["compute", "compute", "compute", "reuse"]
    assert reasons(hook)[2] == "no residual"


def test_a_signal_buffer_that_the_caller_reuses_is_noticed() -> None:
    module, hook = hooked()
    buffer = signal(1.0)
    for level in (1.0, 1.25, 4.0, 16.0):
        buffer.fill_(level)
        module(latents(), buffer)
    assert [decision.distance for decision in hook.decisions] == [None, 0.25, pytest.approx(2.2), 3.0]
    assert choices(hook) == ["compute", "reuse", "compute", "compute"]


def test_a_signal_buffer_that_is_reused_later_on_computes() -> None:
    module, hook = hooked()
    module(latents(), signal(1.0))
    buffer = signal(1.1)
    module(latents(), buffer)
    buffer.fill_(100.0)
    module(latents(), signal(100.0))
    assert reasons(hook)[2] == "previous input overwritten"
    assert choices(hook)[2] == "compute"


def test_the_output_keeps_the_dtype_that_the_blocks_return() -> None:
    def extract(module: SingleStream, *args: Any) -> Any:
        context = extract_single(module, *args)
        blocks = context.run_transformer_blocks
        context.run_transformer_blocks = lambda: (blocks()[0].to(torch.bfloat16),)
        context.postprocess = lambda hidden: hidden
        return context

    module, hook = hooked(extractor=extract)
    dtypes = [module(latents(), signal(level)).dtype for level in (1.0, 1.1)]
    assert choices(hook) == ["compute", "reuse"]
    assert dtypes == [torch.bfloat16, torch.bfloat16]


def test_nothing_in_the_state_holds_a_graph() -> None:
    module, hook = hooked(DualStream(), extract_dual)
    inputs = latents(), latents(9), signal(1.0)
    module(*inputs).sum().backward()
    assert module.blocks[0].mix.weight.grad is not None
    module(*inputs)
    (state,) = hook.state_manager.states.values()
    held = [state.previous_modulated_input, state.previous_residual, state.previous_residual_encoder]
    held += [state.memory.kept.tensor, *state.previous_live.values()]
    assert [(tensor.requires_grad, tensor.grad_fn) for tensor in held] == [(False, None)] * 5
