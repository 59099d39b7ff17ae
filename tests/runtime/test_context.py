from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import pytest
import torch

from teaspec import CacheContext

BATCH, TOKENS, WIDTH = 2, 3, 4


def context(**changes: Any) -> CacheContext:
    hidden = torch.ones(BATCH, TOKENS, WIDTH)
    fields: dict[str, Any] = {
        "modulated_input": hidden * 2,
        "hidden_states": hidden,
        "encoder_hidden_states": torch.ones(BATCH, 1, WIDTH),
        "temb": torch.ones(BATCH, WIDTH),
        "run_transformer_blocks": lambda: (hidden + 1,),
        "postprocess": lambda hidden_states: hidden_states,
    }
    return CacheContext(**{**fields, **changes})


def raises(*exception: Any) -> Callable[..., Any]:
    def call(*_: Any) -> Any:
        raise exception[0]

    return call


def test_the_fields_are_the_documented_ones_in_order() -> None:
    assert [field.name for field in dataclasses.fields(CacheContext)] == [
        "modulated_input",
        "hidden_states",
        "encoder_hidden_states",
        "temb",
        "run_transformer_blocks",
        "postprocess",
        "extra_states",
    ]
    assert context().extra_states is None


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"encoder_hidden_states": None},
        {"extra_states": {}},
        {"extra_states": {"other": 1}},
        {"modulated_input": torch.ones(BATCH, 1)},
        {"modulated_input": torch.ones(TOKENS, BATCH, WIDTH)},
        {"temb": torch.ones(1)},
        {  # packed streams, each of a length of its own
            "hidden_states": torch.ones(TOKENS, WIDTH),
            "modulated_input": torch.ones(TOKENS, WIDTH),
            "encoder_hidden_states": torch.ones(1, WIDTH),
            "run_transformer_blocks": lambda: (torch.ones(TOKENS, WIDTH), torch.ones(1, WIDTH)),
        },
        {"run_transformer_blocks": lambda: (torch.ones(BATCH, TOKENS, WIDTH), torch.ones(BATCH, 1, WIDTH))},
        {
            "run_transformer_blocks": lambda: (torch.ones(BATCH, TOKENS, WIDTH), torch.ones(BATCH), None),
            "postprocess": lambda hidden, stream, carried: (hidden, stream, carried),
            "extra_states": {"live": {"stream": torch.ones(BATCH), "carried": None}},
        },
    ],
)
def test_a_sound_context_passes(changes: dict[str, Any]) -> None:
    context(**changes).validate()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"modulated_input": [1.0]}, r"modulated_input must be a torch.Tensor, found a list"),
        ({"hidden_states": None}, r"hidden_states must be a torch.Tensor, found None"),
        ({"encoder_hidden_states": 3}, r"encoder_hidden_states must be a torch.Tensor or None, found a int"),
        ({"temb": None}, r"temb must be a torch.Tensor, found None"),
        ({"run_transformer_blocks": None}, r"run_transformer_blocks must be callable, found None"),
        ({"postprocess": torch.ones(1)}, r"postprocess must be callable, found a Tensor"),
        ({"extra_states": ["live"]}, r"extra_states must be a dict or None, found a list"),
        ({"extra_states": {"live": ["a"]}}, r"extra_states\['live'\] must be a dict of name to tensor or None"),
        (
            {"extra_states": {"live": {"a": 1}}},
            r"extra_states\['live'\]\['a'\] must be a torch.Tensor or None, found a",
        ),
    ],
)
def test_wrong_types(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError, match=message):
        context(**changes).validate()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"modulated_input": torch.ones(3, 1)}, r"modulated_input has batch size 3 \(shape \(3, 1\)\), expected 2"),
        ({"encoder_hidden_states": torch.ones(1, 1, 1)}, r"encoder_hidden_states has batch size 1 .*expected 2"),
        ({"temb": torch.ones(BATCH, device="meta")}, r"temb is on device meta, expected cpu"),
        ({"modulated_input": torch.ones(BATCH, device="meta")}, r"modulated_input is on device meta, expected cpu"),
        ({"encoder_hidden_states": torch.ones(BATCH, 1, device="meta")}, r"encoder_hidden_states is on device meta"),
        ({"extra_states": {"live": {"a": torch.ones(1, device="meta")}}}, r"\['a'\] is on device meta, expected cpu"),
        ({"hidden_states": torch.ones(BATCH, 0, WIDTH)}, r"hidden_states must hold .*found shape \(2, 0, 4\)"),
        ({"modulated_input": torch.ones(BATCH, 0)}, r"modulated_input must hold .*found shape \(2, 0\)"),
        ({"temb": torch.tensor(1.0)}, r"temb must hold at least one batch entry, found shape \(\)"),
        ({"hidden_states": torch.ones(BATCH, TOKENS, dtype=torch.int64)}, r"of a floating dtype, found torch.int64"),
    ],
)
def test_tensors_that_do_not_fit(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        context(**changes).validate()


HIDDEN = torch.ones(BATCH, TOKENS, WIDTH)


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        (lambda: [HIDDEN], r"must return a tuple of tensors, found a list"),
        (lambda: HIDDEN, r"must return a tuple of tensors, found a Tensor"),
        (lambda: None, r"must return a tuple of tensors, found None"),
        (lambda: (), r"must return at least 1 value\(s\) \(hidden_states, encoder_hidden_states\), found 0"),
        (lambda: (None,), r"\(\)\[0\] must be a torch.Tensor, found None"),
        (lambda: (HIDDEN, 1), r"\(\)\[1\] must be a torch.Tensor, found a int"),
        (
            lambda: (HIDDEN[:1],),
            r"\[0\] must keep the shape in which hidden_states enters the blocks, \(2, 3, 4\), found",
        ),
        (lambda: (HIDDEN, HIDDEN), r"\[1\] must keep the shape in which encoder_hidden_states enters .*\(2, 1, 4\)"),
    ],
)
def test_blocks_that_return_something_else(blocks: Callable[[], Any], message: str) -> None:
    with pytest.raises(RuntimeError, match=message):
        context(run_transformer_blocks=blocks).validate()


@pytest.mark.parametrize(
    ("blocks", "message"),
    [
        (lambda: (HIDDEN, HIDDEN), r"must return 3 value\(s\) .*found 2"),
        (lambda: (HIDDEN, HIDDEN, None, None), r"must return 3 value\(s\) .*found 4"),
        (lambda: (HIDDEN, None, None), r"\[1\] must be a torch.Tensor, found None"),
        (lambda: (HIDDEN, HIDDEN[:1], None), r"\[1\] must keep the shape in which live.stream enters"),
    ],
)
def test_blocks_that_do_not_return_the_live_values(blocks: Callable[[], Any], message: str) -> None:
    live = {"live": {"stream": HIDDEN, "carried": None}}
    with pytest.raises(RuntimeError, match=message):
        context(run_transformer_blocks=blocks, postprocess=lambda *_: None, extra_states=live).validate()


@pytest.mark.parametrize("field", ["run_transformer_blocks", "postprocess"])
def test_a_callable_that_fails_is_named_and_its_error_chained(field: str) -> None:
    error = ZeroDivisionError("by zero")
    with pytest.raises(RuntimeError, match=rf"CacheContext.{field} failed: ZeroDivisionError: by zero") as caught:
        context(**{field: raises(error)}).validate()
    assert caught.value.__cause__ is error


def test_the_callables_are_really_invoked_without_gradients() -> None:
    seen: list[Any] = []
    weight = torch.ones(1, requires_grad=True)

    def blocks() -> tuple[torch.Tensor, ...]:
        seen.append(torch.is_grad_enabled())
        return (HIDDEN * weight,)

    context(run_transformer_blocks=blocks, postprocess=seen.append).validate()
    assert seen[0] is False
    assert seen[1].requires_grad is False
    assert seen[1].shape == HIDDEN.shape


@pytest.mark.parametrize("inference", [False, True])
def test_blocks_that_work_in_place_leave_the_context_as_it_was(inference: bool) -> None:
    with torch.inference_mode(inference):
        hidden, encoder = torch.ones(BATCH, TOKENS, WIDTH), torch.ones(BATCH, 1, WIDTH)
        temb = torch.ones(1, WIDTH).expand(BATCH, WIDTH)
        subject = context(
            hidden_states=hidden,
            encoder_hidden_states=encoder,
            modulated_input=hidden[:, :1],
            temb=temb,
            run_transformer_blocks=lambda: (hidden.add_(1), encoder.mul_(2)),
            postprocess=lambda out: out.zero_(),
        )
        subject.validate()
    assert subject.hidden_states is hidden
    assert torch.equal(hidden, torch.ones(BATCH, TOKENS, WIDTH))
    assert torch.equal(encoder, torch.ones(BATCH, 1, WIDTH))


def test_inference_tensors_are_put_back_outside_of_inference_mode_too() -> None:
    with torch.inference_mode():
        hidden = torch.ones(BATCH, TOKENS, WIDTH)
    blocks = torch.inference_mode()(lambda: (hidden.add_(1),))
    context(hidden_states=hidden, run_transformer_blocks=blocks).validate()
    assert torch.equal(hidden, torch.ones(BATCH, TOKENS, WIDTH))


def test_blocks_that_fail_half_way_leave_the_context_as_it_was() -> None:
    hidden = torch.ones(BATCH, TOKENS, WIDTH)

    def blocks() -> tuple[torch.Tensor, ...]:
        hidden.zero_()
        raise ValueError

    with pytest.raises(RuntimeError):
        context(hidden_states=hidden, run_transformer_blocks=blocks).validate()
    assert torch.equal(hidden, torch.ones(BATCH, TOKENS, WIDTH))


def test_validation_draws_no_random_numbers_from_the_caller() -> None:
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    context(run_transformer_blocks=lambda: (torch.rand_like(HIDDEN),)).validate()
    assert torch.equal(torch.rand(2), expected)
