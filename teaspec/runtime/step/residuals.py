"""Runs one step: computed, with the residuals taken, or reused, with the residuals added."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils._pytree import tree_map

from teaspec.runtime.contract.context import CacheContext
from teaspec.runtime.contract.streams import ENCODER, HIDDEN, Stream, find_live, postprocess_arguments
from teaspec.runtime.contract.validation import check_outputs
from teaspec.runtime.generation.state import Layout, TeaCacheState
from teaspec.runtime.host.compiled import part
from teaspec.runtime.host.splits import Split
from teaspec.runtime.keep.memory import Origin, Storage, fetch, origin_of
from teaspec.runtime.keep.overwrite import OverwriteWatch
from teaspec.runtime.rules.forecast import Weights, forecast
from teaspec.runtime.rules.missed import Missed


@dataclass(frozen=True, eq=False)
class Outcome:
    """What one step leaves behind.

    Attributes:
        output: What the forward returns.
        residuals: By stream key, what the next reused step adds (or, for values carried over, takes as it is).
        origins: By stream key, where the residual belongs, in case it is kept elsewhere.
        error: What a forecast would have been off by, None where nobody asks, or there was nothing to forecast from.
    """

    output: Any
    residuals: dict[str, Any]
    origins: dict[str, Origin]
    error: Missed | None = None


def layout_of(context: CacheContext, streams: tuple[Stream, ...], *, with_signal: bool) -> Layout:
    """Returns name, shape, dtype and device of everything that must stay as it is for a residual to fit.

    Args:
        context: The call, cut.
        streams: What enters and leaves its blocks.
        with_signal: Whether the modulated input is compared with that of the last step.
    """
    named = [("modulated_input", context.modulated_input)] if with_signal else []
    named += [(stream.key, stream.entry) for stream in streams if stream.entry is not None]
    return tuple((name, tensor.shape, tensor.dtype, tensor.device) for name, tensor in named)


def residuals_of(state: TeaCacheState) -> dict[str, Any]:
    """Returns the residuals that a state holds, by stream key."""
    residuals = dict(state.previous_live)
    if state.previous_residual is not None:
        residuals[HIDDEN] = state.previous_residual
    if state.previous_residual_encoder is not None:
        residuals[ENCODER] = state.previous_residual_encoder
    return residuals


def can_reuse(streams: tuple[Stream, ...], residuals: dict[str, Any]) -> bool:
    """Returns whether there is a residual for each stream that needs one."""
    return all(stream.key in residuals for stream in streams if stream.required)


def compute(
    context: CacheContext,
    streams: tuple[Stream, ...],
    watch: OverwriteWatch,
    storage: Storage,
    split: Split,
    judge: Callable[[dict[str, Any], dict[str, Any]], Missed | None] | None = None,
) -> Outcome:
    """Runs the blocks and takes the residuals.

    Args:
        context: The call, cut.
        streams: What enters and leaves its blocks.
        watch: Knows which streams the blocks overwrite.
        storage: Where the residuals are kept.
        split: How streams are shared out inside the blocks.
        judge: Takes the residuals, and the streams behind the blocks, to what a forecast would have been off by.

    Raises:
        RuntimeError: If the blocks return something else than `CacheContext` documents.
    """
    kept = {stream.key: watch.keep(stream.key, stream.entry) for stream in streams if stream.entry is not None}
    values = part(context.run_transformer_blocks)
    check_outputs(streams, values, exact=find_live(context) is not None, share=split.share)
    residuals: dict[str, Any] = {}
    for stream, value in zip(streams, values, strict=False):
        if stream.entry is None:
            residuals[stream.key] = _copied(value)
            continue
        watch.learn(stream.key, kept[stream.key])
        entry = kept[stream.key].find()
        # Overwritten by blocks that had not done so before: no residual, so the next step computes.
        if entry is not None:
            value = value.detach()
            residuals[stream.key] = (value - split.share(entry, value.shape)).to(value.dtype)
    origins = {key: origin_of(residual) for key, residual in residuals.items()}
    taken = {stream.key for stream in streams if stream.entry is not None}
    stored = {key: storage.put(residual, is_residual=key in taken) for key, residual in residuals.items()}
    # Before what comes behind the blocks, which may write to them.
    error = None if judge is None else judge(residuals, {s.key: v for s, v in zip(streams, values, strict=False)})
    return Outcome(_finish(context, streams, values), stored, origins, error)


def judged(
    residuals: dict[str, Any], values: dict[str, Any], state: TeaCacheState, weights: Sequence[Weights]
) -> Missed | None:
    """Returns what a forecast of residuals is off by; None where there is nothing to forecast from.

    Args:
        residuals: Those of a computed step, by stream key.
        values: The streams behind its blocks.
        state: The branch's state before the step.
        weights: Those of the computed steps.
    """
    known = residuals_of(state)
    off: dict[str, torch.Tensor] = {}
    with torch.no_grad():
        for key, residual in residuals.items():
            if key not in known or key not in state.origins or not isinstance(residual, torch.Tensor):
                continue
            last = fetch(known[key], state.origins[key])
            if (last.shape, last.dtype, last.device) == (residual.shape, residual.dtype, residual.device):
                off[key] = residual - forecast(key, last, state.earlier, weights)
    return Missed(off, {key: values[key].detach() for key in off}) if off else None


def reuse(
    context: CacheContext,
    streams: tuple[Stream, ...],
    state: TeaCacheState,
    split: Split,
    weights: Sequence[Weights] = (),
) -> Outcome:
    """Adds residuals in place of running the blocks.

    Args:
        context: The call, cut.
        streams: What enters and leaves its blocks.
        state: The branch's state.
        split: How streams are shared out inside the blocks.
        weights: Those of the computed steps, by how many there are; the last one is taken as it is where there is none.
    """
    residuals = residuals_of(state)
    streams = tuple([stream for stream in streams if stream.key in residuals])
    values = tuple([_reused(stream, residuals[stream.key], state, split, weights) for stream in streams])
    return Outcome(_finish(context, streams, values), residuals, state.origins)


def _reused(stream: Stream, stored: Any, state: TeaCacheState, split: Split, weights: Sequence[Weights]) -> Any:
    residual = fetch(stored, state.origins[stream.key])
    if stream.entry is None:
        return _copied(residual)
    residual = forecast(stream.key, residual, state.earlier, weights)
    # The residual has the dtype that the blocks return, which need not be the one that enters them.
    return (split.share(stream.entry, residual.shape) + residual).to(residual.dtype)


def _finish(context: CacheContext, streams: tuple[Stream, ...], values: tuple[Any, ...]) -> Any:
    context.hidden_states = values[0]
    for stream, value in zip(streams, values, strict=False):
        if stream.key == ENCODER:
            context.encoder_hidden_states = value
    return part(context.postprocess, *postprocess_arguments(context, values))


def _copied(value: Any) -> Any:
    """Copies the tensors in a carried value: `postprocess` may write into what it gets."""
    return tree_map(lambda leaf: leaf.detach().clone() if isinstance(leaf, torch.Tensor) else leaf, value)
