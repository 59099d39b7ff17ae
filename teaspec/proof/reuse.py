"""What a reused step has to be, asked of the model's own forward.

A call A is computed, and recorded by hooks on the blocks. For a call B of the same layout whose numbers are drawn anew,
the model's own forward runs around blocks that replay A (`Replay`). The reused step of the hook has to equal that, to
rounding, and to leave the same behind. In between, another branch is computed: nothing of it may show.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import torch

from teaspec.proof.build import ProbeError
from teaspec.proof.compare import ViolationError, max_abs_difference, named_tensors, require_same_form, same_value
from teaspec.proof.hooked import ALWAYS_REUSE, call, hooked
from teaspec.proof.inputs import Arguments, Example
from teaspec.proof.recording import Attributes, Recording, attributes_below, attributes_of_blocks, set_attributes
from teaspec.proof.replay import Replay, UnjudgedError
from teaspec.proof.subject import Subject

_SHARE = 1e-3
"""A reused step may be off by this share of how far the result has to move between the two calls."""
_ROUNDING = {torch.float32: 1e-5, torch.bfloat16: 5e-2}
"""And by this share of the largest number in it: what the roundings of a residual come to behind the output head."""


@dataclass(frozen=True, eq=False)
class Left:
    """What a call returned, and what it left behind.

    Attributes:
        output: What it returned.
        arguments: What it was called with, as that is behind the call.
        attributes: Those of the model, but for what is below a block.
        random: The state of the random numbers.
    """

    output: Any
    arguments: Arguments
    attributes: Attributes
    random: torch.Tensor


def reused_step_is_of_its_call(subject: Subject, example: Example) -> None:
    """A reused step is this call's forward around what the blocks returned at the computed one: nothing else is old."""
    if subject.goes_past(example):
        return  # nothing of such a call is reused
    everything, time = _with_all_anew(subject, example), _at_another_time(subject, example)
    computed, expected = _require(subject, example, everything) or (None, None)
    if computed is not None:
        _require_movement(subject, computed, expected)
    if time is not None:
        _require(subject, example, time)


def moves_with_time(subject: Subject, example: Example) -> bool | None:
    """Whether the timestep alone moves a reused step; None where no timestep is known, or nothing is reused."""
    later = _at_another_time(subject, example)
    if later is None or subject.goes_past(example):
        return None
    with hooked(subject, example, ALWAYS_REUSE) as module:
        return moves(*(call(module, subject.arguments(one)) for one in (example, later)))


def _with_all_anew(subject: Subject, example: Example) -> Example:
    inputs = frozenset(subject.alternatives[example.case].inputs)
    return replace(example, step=1, anew=inputs - set(subject.spec.blocks.carried))


def _at_another_time(subject: Subject, example: Example) -> Example | None:
    """The same call at another timestep; None where no timestep is known."""
    inputs, passed = subject.alternatives[example.case].inputs, subject.by_name(subject.arguments(example))
    names = getattr(subject.extractor(example), "timestep", ())
    time = next((name for name in names if name in inputs and passed.get(name) is not None), None)
    return None if time is None else replace(example, step=1, anew=frozenset({time}))


def _require(subject: Subject, example: Example, later: Example) -> tuple[Any, Any] | None:
    """Requires of a later call that reuses an example what it has to be.

    Returns:
        What the example returned, and what the later call has to; None where nothing can be said.
    """
    module, lists, given = subject.module(example), subject.lists(example), subject.arguments(example)
    start, other = attributes_below(module), replace(example, step=2)
    try:
        with Recording([block for blocks in lists for block in blocks], given) as recording:
            computed = subject.call(example, given)
        if not recording.calls:
            return None  # there is nothing to reuse
        _require_arguments_alone(subject, recording)
        subject.call(other, subject.arguments(other))
        with Replay(recording.calls, lists) as replay:
            expected = _left(subject, later, lambda arguments: subject.call(later, arguments))
        replay.finish()
        behind = attributes_of_blocks(lists)
        written = [key for key, value in behind.items() if not same_value(value, replay.behind.get(key))]
    except (UnjudgedError, ProbeError) as error:
        reason = error if isinstance(error, UnjudgedError) else error.__cause__
        if not isinstance(reason, UnjudgedError):
            raise
        subject.unjudged[example.case] = str(reason)
        return None
    finally:
        set_attributes(module, start)
    with hooked(subject, example, ALWAYS_REUSE):
        call(module, subject.arguments(example))
        call(module, subject.arguments(other), "another")
        found = _left(subject, later, lambda arguments: call(module, arguments))
        reused = attributes_of_blocks(lists)
    _require_close(computed, expected, found, example.dtype)
    for key in written:  # by the forward itself, behind the blocks
        if not _is_close(behind[key], reused.get(key), example.dtype):
            raise ViolationError(f"a reused step leaves `{key[1]}` of a block in another state than the model does")
    _require_the_same_left(subject, later, expected, found)
    return computed, expected.output


def _left(subject: Subject, example: Example, run: Callable[[Arguments], Any]) -> Left:
    given = subject.arguments(example)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(example.seed)
        output = run(given)
        random = torch.get_rng_state()
    below = {id(part) for blocks in subject.lists(example) for block in blocks for part in block.modules()}
    module = subject.module(example)
    seen = {path for path, part in module.named_modules() if id(part) not in below}
    attributes = {key: value for key, value in attributes_below(module).items() if key[0] in seen}
    return Left(output, given, attributes, random)


def _require_close(computed: Any, expected: Left, found: Left, dtype: torch.dtype) -> None:
    require_same_form(expected.output, found.output)
    pairs = zip(named_tensors(computed), named_tensors(expected.output), named_tensors(found.output), strict=True)
    for (name, before), (_, wanted), (_, got) in pairs:
        allowed = max(_SHARE * max_abs_difference(before, wanted), _ROUNDING[dtype] * _largest(wanted))
        difference = max_abs_difference(wanted, got)
        if not difference <= allowed:  # written so that a NaN fails
            raise ViolationError(
                f"a reused step is not what the model makes of this call around the blocks of an earlier one: {name} "
                f"differs, largest absolute difference {difference:.3g}, allowed {allowed:.3g}. Something of the "
                f"earlier call is left in it; what enters the streams between blocks may be listed under "
                f"`blocks: {{carried: [...]}}`",
                difference,
            )


def _require_the_same_left(subject: Subject, example: Example, expected: Left, found: Left) -> None:
    wanted, got = subject.by_name(expected.arguments), subject.by_name(found.arguments)
    for name in wanted.keys() - set(subject.spec.blocks.carried):
        if not same_value(wanted[name], got.get(name)):
            raise ViolationError(f"a reused step leaves the argument `{name}` in another state than the model does")
    if not torch.equal(expected.random, found.random):
        raise ViolationError("a reused step draws other random numbers than the model does outside of its blocks")
    pairs = ((key, value, found.attributes.get(key)) for key, value in expected.attributes.items())
    others = [key for key, value, other in pairs if not _is_close(value, other, example.dtype)]
    if not others:
        return
    path, name = others[0]
    place = ".".join(filter(None, ("self", path, name)))
    # On the model itself anybody may look at it. A submodule may keep what it makes anew whenever it is called.
    is_seen = any(not path for path, _ in others)
    if is_seen or not same_value(*(_next_call(subject, example, one.attributes) for one in (expected, found))):
        raise ViolationError(f"a reused step leaves `{place}` in another state than the model does")


def _is_close(value: Any, other: Any, dtype: torch.dtype) -> bool:
    """Whether two attributes are the same but for rounding."""
    if same_value(value, other):
        return True
    pairs = [[*named_tensors(one)] for one in (value, other)]
    forms = [[(name, tensor.shape, tensor.dtype) for name, tensor in one] for one in pairs]
    return type(value) is type(other) and bool(pairs[0]) and forms[0] == forms[1] and not moves(value, other, dtype)


def _next_call(subject: Subject, example: Example, attributes: Attributes) -> Any:
    """What the model returns where it was left with these attributes."""
    later = replace(example, step=3, anew=None)
    before = attributes_below(subject.module(example))
    try:
        set_attributes(subject.module(example), attributes)
        return subject.call(later, subject.arguments(later))
    finally:
        set_attributes(subject.module(example), before)


def _require_arguments_alone(subject: Subject, recording: Recording) -> None:
    """Requires that blocks write nothing into the caller's arguments, which a reused step could not."""
    before, behind = subject.by_name(recording.before), subject.by_name(recording.behind)
    for name in before.keys() - set(subject.spec.blocks.carried):
        if not same_value(before[name], behind[name]):
            raise ViolationError(
                f"blocks write into the argument `{name}`, and a reused step runs none; calls that pass it can go past "
                f"the cache: `bypass: [{name}]`"
            )


def _require_movement(subject: Subject, computed: Any, expected: Any) -> None:
    """Requires that a reused step moves with its inputs, unless the spec says why it need not."""
    if subject.spec.blocks.frozen is None and not moves(computed, expected):
        raise ViolationError(
            "a reused step returns what the computed one did although its inputs are others, and so does the model "
            "around its blocks. If that is how it is, say why: `blocks: {frozen: ...}`"
        )


def moves(before: Any, now: Any, dtype: torch.dtype = torch.float32) -> bool:
    """Whether two outputs differ by more than their roundings."""
    pairs = zip(named_tensors(before), named_tensors(now), strict=True)
    return any(max_abs_difference(old, new) > _ROUNDING[dtype] * _largest(new) for (_, old), (_, new) in pairs)


def _largest(tensor: torch.Tensor) -> float:
    return float(tensor.detach().abs().max()) if tensor.numel() else 0.0
