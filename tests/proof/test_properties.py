"""Every property can fail, and says why on the smallest example that shows it."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from teaspec.proof.properties import PROPERTIES
from tests.proof.broken import outcome, with_output
from tests.proof.small import SPEC, ByKeyword, Constant, Dice, NotANumber, Output

NAMES = [item.name for item in PROPERTIES]


def shifted(output, by=1e-3):
    return Output(output.sample + by) if isinstance(output, Output) else (output[0] + by,)


@pytest.mark.parametrize("name", NAMES)
def test_holds_for_the_compiled_extractor(name):
    result = outcome(name, examples=15)
    assert result.passed, result
    assert result.examples == 15
    assert result.message == "" and result.minimal_example is None and result.max_abs_difference is None
    assert result.claim.endswith(".")


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (NotANumber, "output.sample is not finite"),
        (Constant, "output.sample is the same everywhere"),
        (Dice, "the forward called twice: output.sample differs"),
    ],
)
def test_forward_fails_where_nothing_could_be_proven(model, message):
    result = outcome("forward", model=model)
    assert not result.passed
    assert message in result.message


@pytest.mark.parametrize("name", NAMES)
def test_holds_for_what_a_forward_takes_among_keywords(name):
    """Red where only named parameters are taken for varying: the text drawn anew would be another prompt."""
    result = outcome(name, model=ByKeyword, examples=15)
    assert result.passed, result


def test_exact_fails_on_a_shifted_output_and_shows_the_smallest_call():
    result = outcome("exact", lambda context, module, kwargs: with_output(context, shifted))
    assert not result.passed
    assert result.max_abs_difference == pytest.approx(1e-3, rel=0.01)
    assert "largest absolute difference 0.001" in result.message
    assert result.minimal_example is not None
    assert result.minimal_example.splitlines() == [
        "case: the base",
        "dtype: float32",
        "dims: batch=1, image=2, text=1",
        "hidden_states: float32[1, 2, 3]",
        "encoder_hidden_states: float32[1, 1, 5]",
        "timestep: float32[1]",
        "left out: scale, options",
        "seed: 0",
    ]


def test_exact_fails_on_an_optional_input_that_the_extractor_forgot():
    def forget(context, module, kwargs):
        return with_output(context, shifted) if kwargs.get("scale") is not None else context

    result = outcome("exact", forget)
    assert not result.passed
    lines = result.minimal_example.splitlines()
    assert "scale: 1.5" in lines
    assert "left out: options" in lines


def test_exact_fails_in_one_dtype_and_one_case_only():
    def only_there(context, module, kwargs):
        is_there = context.hidden_states.dtype == torch.bfloat16 and len(module.blocks) == 3
        return with_output(context, lambda output: shifted(output, by=1.0)) if is_there else context

    result = outcome("exact", only_there)
    assert not result.passed
    assert result.minimal_example.splitlines()[:2] == ["case: 1 (layers=3)", "dtype: bfloat16"]


def test_exact_fails_on_another_output_type():
    result = outcome("exact", lambda context, module, kwargs: with_output(context, lambda output: [output]))
    assert result.message == "the output is a list, the forward returns a Output"
    assert result.max_abs_difference is None


def test_exact_fails_on_another_dtype_of_equal_values():
    def widened(output):
        return Output(output.sample.double()) if isinstance(output, Output) else (output[0].double(),)

    result = outcome("exact", lambda context, module, kwargs: with_output(context, widened))
    assert (
        result.message == "the output holds output.sample [1, 2, 3] float64, that of the forward holds output.sample "
        "[1, 2, 3] float32"
    )


def test_an_exception_of_the_extractor_is_a_failure_with_its_type():
    def fail(context, module, kwargs):
        raise KeyError("img_ids")

    result = outcome("exact", fail)
    assert not result.passed
    assert result.message == "KeyError: 'img_ids'"


def test_validate_fails_on_a_bad_context():
    result = outcome("validate", lambda context, module, kwargs: replace(context, temb=None))
    assert not result.passed
    assert result.message.startswith("TypeError: CacheContext.temb must be a torch.Tensor")


def test_validate_fails_on_something_else_than_a_context():
    result = outcome("validate", lambda context, module, kwargs: (context,))
    assert result.message == "the extractor returned a tuple, not a CacheContext"


def test_validate_leaves_the_context_of_a_bypassed_call_alone():
    def only_if_scaled(context, module, kwargs):
        return replace(context, temb=None) if kwargs.get("scale") is not None else context

    bypassing = SPEC.replace("probe:", "bypass: [scale]\nprobe:")
    assert outcome("validate", only_if_scaled, text=bypassing).passed
    assert not outcome("validate", only_if_scaled).passed


OF_THE_EMBEDDING = SPEC.replace("head: norm_out", "head: norm_out\nsignal: temb")


@pytest.mark.parametrize("text", [SPEC, OF_THE_EMBEDDING])
def test_signal_holds_for_a_norm_and_for_a_name(text):
    assert outcome("signal", text=text).passed


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        (SPEC, lambda context, module: context.hidden_states),
        (SPEC, lambda context, module: module.blocks[0].norm1(context.hidden_states)),
        (SPEC, lambda context, module: context.modulated_input.double()),
        (SPEC, lambda context, module: context.modulated_input * 1.001),
        (OF_THE_EMBEDDING, lambda context, module: context.temb * 2),
        (OF_THE_EMBEDDING, lambda context, module: context.hidden_states),
    ],
    ids=["before-the-norm", "before-the-modulation", "dtype", "nearly", "not-the-embedding", "another-name"],
)
def test_signal_fails_on_what_the_model_does_not_compute_there(text, wrong):
    def change(context, module, kwargs):
        return replace(context, modulated_input=wrong(context, module))

    result = outcome("signal", change, text=text)
    assert not result.passed
    where = "no submodule behind the landmark receives" if text == SPEC else "the forward has not"
    assert result.message.startswith(f"{where} a tensor equal to modulated_input [1, ")


def test_arguments_fail_where_the_extractor_changes_a_dict_of_the_caller():
    def change(context, module, kwargs):
        if kwargs.get("options") is not None:
            kwargs["options"]["mine"] = 1
        return context

    result = outcome("arguments", change)
    assert not result.passed
    assert result.message.startswith("the argument `options` is left in another state")
    assert "options: {new: 2}" in result.minimal_example.splitlines()


def test_arguments_fail_where_the_extractor_writes_into_a_tensor_of_the_caller():
    def change(context, module, kwargs):
        if "timestep" in kwargs:
            kwargs["timestep"].add_(1)
        return context

    result = outcome("arguments", change)
    assert result.message.startswith("the argument `timestep` is left in another state")


def test_arguments_fail_where_the_extractor_spares_a_dict_that_the_forward_changes():
    def undo(context, module, kwargs):
        if kwargs.get("options") is not None:
            kwargs["options"].clear()
            kwargs["options"]["new"] = 2
        return context

    result = outcome("arguments", undo)
    assert result.message.startswith("the argument `options` is left in another state")


def test_computed_fails_where_the_second_step_is_stale():
    first = {}

    def stale(context, module, kwargs):
        shape = context.hidden_states.shape
        kept = first.setdefault((shape, context.hidden_states.dtype), context.run_transformer_blocks)
        return replace(context, run_transformer_blocks=kept)

    result = outcome("computed", stale)
    assert not result.passed
    assert "hooked and computed against unhooked: output" in result.message


def test_reused_fails_where_a_block_runs():
    def wasteful(context, module, kwargs):
        ran = []
        blocks, postprocess = context.run_transformer_blocks, context.postprocess

        def run_blocks():
            ran.append(True)
            return blocks()

        def run_postprocess(*values):
            if not ran:
                module.blocks[1](context.hidden_states, context.hidden_states, context.temb)
            return postprocess(*values)

        return replace(context, run_transformer_blocks=run_blocks, postprocess=run_postprocess)

    result = outcome("reused", wasteful)
    assert result.message == "two steps to be reused ran 2 blocks, expected 0"


def test_reused_fails_where_the_blocks_are_not_those_of_the_spec():
    def skipping(context, module, kwargs):
        return replace(context, run_transformer_blocks=lambda: (context.hidden_states * 2,))

    result = outcome("reused", skipping)
    assert result.message == "the first step, which must be computed, ran 0 blocks, expected 2"


def only_when_reused(context, change):
    ran = []
    blocks = context.run_transformer_blocks

    def run_blocks():
        ran.append(True)
        return blocks()

    context = replace(context, run_transformer_blocks=run_blocks)
    return with_output(context, lambda output: output if ran else change(output))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda output: None, "the output is a NoneType, the forward returns a Output"),
        (lambda output: shifted(output, float("nan")), "is not finite"),
        (lambda output: shifted(output, 0.01), "the same inputs, computed and then reused: output"),
    ],
)
def test_reused_fails_on_a_wrong_output_of_reused_steps_alone(change, message):
    result = outcome("reused", lambda context, module, kwargs: only_when_reused(context, change))
    assert not result.passed
    assert message in result.message


def test_removed_fails_where_the_call_leaves_something_behind():
    def leave(context, module, kwargs):
        module.proj_out.bias.data.add_(1)
        return context

    result = outcome("removed", leave)
    assert result.message.startswith("after the removal: output")


def test_removed_fails_where_the_forward_is_not_the_original():
    def leave(context, module, kwargs):
        hooked = module.forward

        def forward(*args, **kwargs):
            return hooked(*args, **kwargs)

        module.forward = forward
        return context

    result = outcome("removed", leave)
    assert not result.passed
    assert result.message == "after the removal the module's forward is not the original"


def test_the_same_seed_gives_the_same_result():
    def sometimes(context, module, kwargs):
        return with_output(context, shifted) if context.hidden_states.shape[1] == 4 else context

    assert outcome("exact", sometimes, seed=3) == outcome("exact", sometimes, seed=3)
