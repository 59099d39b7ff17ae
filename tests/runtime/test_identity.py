"""Whose residual it is: a call reuses only where all that is known says that it goes on with its own branch.

Each test names the rule without which it fails, the mutation; tests/runtime/truth has those that were tried by machine.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from typing import Any

import pytest
import torch

import teaspec
from teaspec import TeaCacheHook
from teaspec.runtime.host.library import cache_context
from tests.runtime.driving import choices, hooked, latents, reasons, signal
from tests.runtime.models import SingleStream, extract_single

ALWAYS = 1e9
"""A threshold that nothing reaches: what may be reused is."""


@pytest.fixture(autouse=True)
def without_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


def subject(**settings: Any) -> tuple[Any, TeaCacheHook]:
    return hooked(thresh=ALWAYS, **settings)


def call(module: Any, timestep: float, seed: int = 0, prompt: Any = None, tokens: int = 3, batch: int = 1) -> Any:
    hidden = latents(seed, tokens).expand(batch, -1, -1)
    return module(hidden, signal(1.0), torch.tensor([timestep]), prompt=prompt)


def text(number: float) -> torch.Tensor:
    return torch.full((1, 2), number)


def said(caplog: pytest.LogCaptureFixture, words: str) -> int:
    return sum(words in record.message for record in caplog.records)


# Another generation


def test_another_prompt_further_along_is_another_generation() -> None:
    """Mutation: `Conditioning.compare` finds no difference; the second call of the other prompt is reused."""
    module, hook = subject()
    for prompt, timesteps in ((text(1), (9.0, 8.0, 7.0)), (text(2), (6.0, 5.0))):
        for timestep in timesteps:
            call(module, timestep, prompt=prompt)
    assert reasons(hook) == ["other conditioning", "distance"]
    assert [one.decision for one in hook.last_generation.decisions] == ["compute", "reuse", "reuse"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (text(1), text(1)[:, :1]),
        ({"scale": 0.5}, {"scale": 0.6}),
        ([text(1), text(2)], [text(1), text(3)]),
        ({"scale": 0.5}, {}),
        ([], None),
        ("a", "b"),
        (1, True),
        (text(1), text(1).double()),
    ],
    ids=["shape", "in a dict", "in a list", "left out", "empty", "text", "type", "dtype"],
)
def test_conditioning_of_any_kind(one: Any, other: Any) -> None:
    """Mutation: `leaves_of` looks into no container, or values are compared without their types."""
    module, hook = subject()
    for timestep, prompt in ((9.0, one), (8.0, one), (7.0, other), (6.0, other)):
        call(module, timestep, prompt=prompt)
    assert choices(hook) == ["compute", "reuse"]
    assert reasons(hook)[0] == "other conditioning"


def test_equal_prompts_that_are_made_anew_at_each_step_go_on() -> None:
    module, hook = subject()
    for step in range(4):
        call(module, 9.0 - step, prompt={"text": [text(1)], "scale": 0.5, "empty": None})
    assert choices(hook) == ["compute", "reuse", "reuse", "reuse"]


def test_a_buffer_that_is_filled_anew_with_the_same_goes_on_and_with_another_does_not() -> None:
    """Mutation: `Conditioning` keeps tensors without a version, so that what was written over is what it was."""
    module, hook = subject()
    buffer = text(1)
    for step in range(5):
        buffer.copy_(text(1))
        call(module, 9.0 - step, prompt=buffer)
    assert choices(hook)[-2:] == ["reuse", "reuse"]
    buffer.copy_(text(2))
    call(module, 3.0, prompt=buffer)
    assert reasons(hook)[-1] == "other conditioning"


def test_other_objects_after_steady_ones_are_doubted() -> None:
    """Mutation: `_is_doubtful` says no; the first call of another generation with an equal prompt is reused."""
    module, hook = subject()
    for prompt, timesteps in ((text(1), (9.0, 8.0, 7.0)), (text(1), (6.0, 5.0, 4.0))):
        for timestep in timesteps:
            call(module, timestep, prompt=prompt)
    assert choices(hook) == ["compute", "reuse", "reuse"]


def _write(prompt: torch.Tensor) -> None:
    prompt.add_(1)


def _exchange(prompt: torch.Tensor) -> None:
    prompt.data = text(2)


@pytest.mark.parametrize("change", [_write, _exchange])
def test_the_very_same_object_holds_something_else_after_steady_steps(change: Callable[[torch.Tensor], None]) -> None:
    """Mutations: `_is_untouched` asks neither for the version nor for the memory; the prompt is not noticed."""
    module, hook = subject()
    prompt = text(1)
    for timestep in (9.0, 8.0, 7.0, 6.0):
        call(module, timestep, prompt=prompt)
    assert choices(hook) == ["compute", "reuse", "reuse", "reuse"]
    change(prompt)
    call(module, 5.0, prompt=prompt)
    assert reasons(hook) == ["other conditioning"]


def test_inference_tensors_are_compared_by_value() -> None:
    module, hook = subject()
    with torch.inference_mode():
        for timestep, prompt in ((9.0, text(1)), (8.0, text(1)), (7.0, text(2)), (6.0, text(2))):
            call(module, timestep, prompt=prompt)
    assert choices(hook) == ["compute", "reuse"]


def test_where_the_pipeline_counts_its_steps_another_prompt_is_another_branch_alone() -> None:
    """A prompt that is changed by the step is computed once; warm-up and the end stay where they are.

    Mutation: `Position.is_told` says no; the generation begins anew, and its last step is not computed.
    """
    module, hook = subject(warmup_steps=2)
    for index in range(6):
        with cache_context(module, "cond", step_index=index, num_inference_steps=6):
            call(module, 9.0 - index, prompt=text(index // 3))
    expected = ["first call", "warm-up", "distance", "other conditioning", "distance", "last step"]
    assert reasons(hook) == expected


# Which argument is the timestep


class NoiseLabels(SingleStream):
    def forward(self, hidden_states: Any, signal: Any, noise_labels: Any = None, prompt: Any = None) -> Any:
        return super().forward(hidden_states, signal)


@pytest.mark.parametrize("names", ["noise_labels", ("sigma", "noise_labels")])
def test_the_timestep_is_the_argument_that_the_extractor_names(names: Any) -> None:
    """Mutation: `Signature.of` takes the usual names; both passes of a step are steps of one branch."""

    def extract(module: Any, hidden_states: Any, signal: Any, noise_labels: Any = None, prompt: Any = None) -> Any:
        return extract_single(module, hidden_states, signal)

    extract.timestep = names  # type: ignore[attr-defined]
    module, hook = hooked(NoiseLabels(), extract, thresh=ALWAYS)
    for step in range(3):
        for _ in range(2):
            module(latents(), signal(1.0), noise_labels=torch.tensor([9.0 - step]))
    assert [one.branch for one in hook.decisions] == ["#0", "#1"] * 3
    module(latents(), signal(1.0), noise_labels=torch.tensor([9.0]))
    assert reasons(hook) == ["first call"]


# Several calls of one name at one step


@pytest.mark.parametrize("name", ["cond", None])
def test_windows_of_one_step_have_residuals_of_their_own(name: str | None, caplog: pytest.LogCaptureFixture) -> None:
    """Mutation: calls of one name in a step are not counted; each window takes the residual of the one before.

    Nobody says whether the calls of the first step are windows or the first calls of generations that were given up,
    so two steps are computed; a shorter last window is a branch beside the others.
    """
    plain, (module, hook) = SingleStream(), subject()
    module.load_state_dict(plain.state_dict())
    windows = ((1, 3), (2, 3), (3, 2))
    for step in range(5):
        for seed, tokens in windows:
            with nullcontext() if name is None else module.cache_context(name):
                found = call(module, 9.0 - step, seed, tokens=tokens)
            # The same latents at each step, so that its own residual gives the same again.
            torch.testing.assert_close(found, plain(latents(seed, tokens), signal(1.0)))
    assert choices(hook) == ["compute"] * 6 + ["reuse"] * 9
    assert len({one.branch for one in hook.decisions}) == 3
    assert said(caplog, "TeaCache has reused nothing") == 0


def test_windows_whose_number_changes_at_each_step_are_not_cached_and_that_is_said(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Mutation: `pattern` is not compared; windows of one step take the residuals of others."""
    module, hook = subject()
    for step in range(7):
        for window in range(2 + step % 2):
            call(module, 9.0 - step, seed=window)
    assert "reuse" not in choices(hook)
    assert said(caplog, "TeaCache has reused nothing for 4 steps") == 1


def test_a_pass_of_another_batch_size_is_a_branch_of_its_own() -> None:
    """Skip-layer guidance in the middle of a generation.

    Mutation: the layout is no part of a branch; both passes compute at each step.
    """
    module, hook = subject()
    for step in range(6):
        call(module, 9.0 - step, batch=2)
        if 1 <= step < 5:
            call(module, 9.0 - step, batch=1)
    assert {branch: (count.computed, count.reused) for branch, count in hook.counts.items()} == {
        "#0": (1, 5),
        "#0:1": (1, 3),
    }


def test_half_of_the_batch_dropped_in_mid_generation() -> None:
    """A callback that ends guidance. Warm-up does not begin anew, and the end is where it was.

    Mutation: a changed layout begins a generation, or `seen` is counted by layout.
    """
    module, hook = subject(warmup_steps=2, cooldown_steps=2, num_inference_steps=8)
    for step in range(8):
        call(module, 9.0 - step, batch=2 if step < 4 else 1)
    assert reasons(hook) == [
        *("first call", "warm-up", "distance", "distance", "first call", "distance", "cool-down", "cool-down")
    ]


@pytest.mark.parametrize("name", ["cond", None])
def test_a_generation_at_the_timestep_at_which_the_last_one_was_given_up(name: str | None) -> None:
    """The same prompt, without a scheduler. Its second call must not take what the other generation left.

    Mutation: a call once more within a step is of that step, whatever the steps before were like.
    """
    module, hook = subject(warmup_steps=0)
    for timestep in (9.0, 8.0, 7.0, 7.0, 6.0, 5.0):
        with nullcontext() if name is None else teaspec.branch(name):
            call(module, timestep)
    assert reasons(hook) == ["first call", "distance", "distance", "first call", "first call", "distance"]


def test_a_pair_of_which_one_half_failed_goes_on_with_nothing() -> None:
    """A transformer with `do_true_cfg` is called without names. Mutation: what follows is the other half.

    The halves of the next generation would be taken for each other.
    """
    module, hook = subject(warmup_steps=0)
    module.do_true_cfg = True
    call(module, 9.0, prompt=text(1))
    with pytest.raises(RuntimeError):
        module(latents().double(), signal(1.0), torch.tensor([9.0]), prompt=text(2))
    for timestep in (9.0, 8.0):
        for prompt in (text(3), text(4)):
            call(module, timestep, prompt=prompt)
    assert [(one.branch, one.reason) for one in hook.decisions] == [
        *(("positive", "first call"), ("negative", "first call")),
        *(("positive", "distance"), ("negative", "distance")),
    ]


def test_no_name_can_look_like_another_branch() -> None:
    """Mutation: names are taken as they are; the branch named `a#1` takes the residual of the second call of `a`."""
    module, hook = subject()
    for step in range(2):
        for name in ("a", "b", "a") if step else ("a", "b"):
            with teaspec.branch(name):
                call(module, 9.0 - step, seed=step)
        with teaspec.branch("a#1"):
            call(module, 9.0 - step, seed=step)
    assert [one.branch for one in hook.decisions] == ["a", "b", "'a#1'", "a", "b", "a#1", "'a#1'"]


# Steps


def test_more_steps_than_were_told_are_like_any_other_and_that_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    """Mutation: `forced` asks whether a step is the last one *or behind it*."""
    module, hook = subject(num_inference_steps=4, cooldown_steps=2)
    for step in range(8):
        call(module, 9.0 - step)
    assert reasons(hook) == ["first call", "distance", "cool-down", "cool-down", *["distance"] * 4]
    assert said(caplog, "More steps run than were told: step 5 of 4") == 1


def test_fewer_steps_than_were_told_are_said_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    """Mutation: `reset_state` says nothing."""
    module, _ = subject(num_inference_steps=8, cooldown_steps=2)
    for _ in range(2):
        for step in range(4):
            call(module, 9.0 - step)
        module._reset_stateful_cache()
    assert said(caplog, "The generation ended at step 4 of the 8 that were told") == 1


# Rows


def test_rows_at_different_steps_are_computed_and_leave_nothing_behind(caplog: pytest.LogCaptureFixture) -> None:
    """Step-wise batching: a request that ends makes room for a new one.

    Mutation: `_spread` says no; the new request takes the residual of the finished one.
    """
    plain, (module, hook) = SingleStream(), subject()
    module.load_state_dict(plain.state_dict())
    rows = torch.cat([latents(1), latents(2)])
    for first, second in ((5.0, 9.0), (4.0, 8.0), (9.0, 7.0), (8.0, 6.0)):
        assert torch.equal(module(rows, signal(1.0), torch.tensor([first, second])), plain(rows, signal(1.0)))
        assert hook.sessions.current().bytes_held == 0
    assert set(reasons(hook)) == {"rows at different steps"}
    for timestep in (7.0, 6.0):
        module(rows, signal(1.0), torch.tensor([timestep, timestep]))
    assert choices(hook)[-2:] == ["compute", "reuse"]
    assert said(caplog, "rows of one call are at different timesteps") == 1


@pytest.mark.parametrize(
    "timestep",
    [torch.tensor([[0.0, 9.0], [0.0, 9.0]]), torch.tensor([9.0]).expand(2), torch.tensor([9.0, 9.0]), 9.0],
    ids=["tokens", "expanded", "equal", "number"],
)
def test_timesteps_of_tokens_are_those_of_the_model(timestep: Any) -> None:
    module, hook = subject()
    rows = torch.cat([latents(1), latents(2)])
    for step in range(3):
        module(rows, signal(1.0), timestep - step)
    assert choices(hook) == ["compute", "reuse", "reuse"]


# Gradients


def test_inputs_that_require_gradients_are_computed(caplog: pytest.LogCaptureFixture) -> None:
    """Mutation: `_passes_by` asks for training alone; the gradient of a reused step leaves the blocks out."""
    plain, (module, hook) = SingleStream(), subject()
    module.load_state_dict(plain.state_dict())
    found = []
    with torch.enable_grad():
        for model in (plain, module):
            start = latents().requires_grad_()
            hidden = start
            for step in range(4):
                hidden = hidden - 0.1 * model(hidden, signal(1.0), torch.tensor([9.0 - step]))
            hidden.square().sum().backward()
            found.append(start.grad)
    assert torch.equal(*found)
    assert hook.decisions == ()
    assert said(caplog, "Inputs of this SingleStream require gradients") == 1
    for step in range(2):
        call(module, 9.0 - step)
    assert choices(hook) == ["compute", "reuse"]


def test_nothing_is_said_where_all_is_well(caplog: pytest.LogCaptureFixture) -> None:
    module, _ = subject(num_inference_steps=6)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            for step in range(6):
                for prompt in (text(1), text(2)):
                    call(module, 9.0 - step, prompt=prompt)
            module._reset_stateful_cache()
    assert caplog.records == []
