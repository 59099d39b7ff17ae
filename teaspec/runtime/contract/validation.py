"""The checks behind `CacheContext.validate`, and the one on the blocks' results that the hook makes on every call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from teaspec.runtime.contract.streams import (
    ENCODER,
    HIDDEN,
    LIVE,
    Cut,
    Stream,
    find_live,
    postprocess_arguments,
    streams_of,
)
from teaspec.runtime.keep.overwrite import unchanged, version_of


def check_types(context: Cut) -> None:
    """Raises a TypeError for the first field of another type than documented."""
    for name in ("modulated_input", HIDDEN, "temb"):
        _expect(name, getattr(context, name), torch.Tensor, "a torch.Tensor")
    if context.encoder_hidden_states is not None:
        _expect(ENCODER, context.encoder_hidden_states, torch.Tensor, "a torch.Tensor or None")
    for name in ("run_transformer_blocks", "postprocess"):
        if not callable(getattr(context, name)):
            raise TypeError(f"CacheContext.{name} must be callable, found {_kind(getattr(context, name))}")
    if context.extra_states is None:
        return
    _expect("extra_states", context.extra_states, dict, "a dict or None")
    if LIVE not in context.extra_states:
        return
    live = context.extra_states[LIVE]
    _expect("extra_states['live']", live, dict, "a dict of name to tensor or None")
    for name, entry in live.items():
        if entry is not None:
            _expect(f"extra_states['live'][{name!r}]", entry, torch.Tensor, "a torch.Tensor or None")


def check_tensors(context: Cut) -> None:
    """Raises a ValueError for the first tensor with properties that caching cannot work with."""
    tensors = _tensors(context)
    hidden = context.hidden_states
    for name, tensor in tensors.items():
        if tensor.ndim == 0 or tensor.numel() == 0:
            raise ValueError(f"CacheContext.{name} must hold at least one batch entry, found shape {_shape(tensor)}")
    if not hidden.is_floating_point():
        raise ValueError(f"CacheContext.hidden_states must be of a floating dtype, found {hidden.dtype}")
    # Packed streams [tokens, channels] have no batch dimension: each has a length of its own.
    for name in ("modulated_input", ENCODER) if hidden.ndim > 2 else ():
        tensor = tensors.get(name, hidden)
        # Some blocks work on [tokens, batch, width] and turn the axes for their attention; others attend within each
        # frame, or at each place over time: [batch * frames, places, width].
        turned = sorted(tensor.shape) == sorted(hidden.shape)
        folded = tensor.numel() == hidden.numel() and tensor.shape[0] % hidden.shape[0] == 0
        if tensor.shape[0] != hidden.shape[0] and not turned and not folded:
            raise ValueError(
                f"CacheContext.{name} has batch size {tensor.shape[0]} (shape {_shape(tensor)}), expected "
                f"{hidden.shape[0]} as in hidden_states (shape {_shape(hidden)})"
            )
    for name, tensor in tensors.items():
        if tensor.device != hidden.device:
            raise ValueError(
                f"CacheContext.{name} is on device {tensor.device}, expected {hidden.device} as hidden_states is"
            )


def check_callables(context: Cut) -> None:
    """Runs blocks and postprocessing once; raises a RuntimeError where they fail or return the wrong thing."""
    with torch.no_grad(), _random_state_kept(context.hidden_states.device), _values_kept(_tensors(context)):
        try:
            outputs = context.run_transformer_blocks()
        except Exception as error:
            raise RuntimeError(f"CacheContext.run_transformer_blocks failed: {_told(error)}") from error
        check_outputs(streams_of(context), outputs, exact=find_live(context) is not None)
        try:
            context.postprocess(*postprocess_arguments(context, outputs))
        except Exception as error:
            raise RuntimeError(f"CacheContext.postprocess failed: {_told(error)}") from error


def check_outputs(
    streams: tuple[Stream, ...], outputs: Any, *, exact: bool, share: Callable[..., torch.Tensor] | None = None
) -> None:
    """Checks what the blocks returned against the streams that entered them.

    Args:
        streams: The expected values, in order.
        outputs: What `run_transformer_blocks` returned.
        exact: Whether the number of values is fixed (live values are named) or only its minimum (the plain contract).
        share: Takes a stream where it enters the blocks, and the shape in which they returned it, to the share of it
            that they were given. None where they were given all of it.

    Raises:
        RuntimeError: If it is no tuple, too short or too long, or holds something else than tensors of the entry shape.
    """
    if not isinstance(outputs, tuple):
        raise RuntimeError(f"run_transformer_blocks must return a tuple of tensors, found {_kind(outputs)}")
    expected = sum(stream.required for stream in streams)
    if len(outputs) < expected or (exact and len(outputs) > expected):
        names = ", ".join(stream.key for stream in streams)
        raise RuntimeError(
            f"run_transformer_blocks must return {'' if exact else 'at least '}{expected} value(s) ({names}), "
            f"found {len(outputs)}"
        )
    for index, output in enumerate(outputs):
        carried = exact and streams[index].entry is None
        if not carried and not isinstance(output, torch.Tensor):
            raise RuntimeError(f"run_transformer_blocks()[{index}] must be a torch.Tensor, found {_kind(output)}")
    for index, (stream, output) in enumerate(zip(streams, outputs, strict=False)):
        if stream.entry is None or output.shape == stream.entry.shape:
            continue
        if share is None or share(stream.entry, output.shape).shape != output.shape:
            raise RuntimeError(
                f"run_transformer_blocks()[{index}] must keep the shape in which {stream.key} enters the blocks, "
                f"{_shape(stream.entry)}, found {_shape(output)}"
            )


def _tensors(context: Cut) -> dict[str, torch.Tensor]:
    tensors = {"modulated_input": context.modulated_input, HIDDEN: context.hidden_states, "temb": context.temb}
    if context.encoder_hidden_states is not None:
        tensors[ENCODER] = context.encoder_hidden_states
    for name, entry in (find_live(context) or {}).items():
        if entry is not None:
            tensors[f"extra_states['live'][{name!r}]"] = entry
    return tensors


@contextmanager
def _values_kept(tensors: dict[str, torch.Tensor]) -> Iterator[None]:
    """Undoes what the dry run writes into the given tensors; blocks may work in place."""
    before = [(tensor, tensor.clone(), version_of(tensor)) for tensor in tensors.values()]
    try:
        yield
    finally:
        for tensor, copy, version in before:
            # Both questions count: the version of a view also moves with its base, and an expanded view takes no write.
            if not unchanged(tensor, version) and not torch.equal(tensor, copy):
                # An inference tensor may be written to only in inference mode, a normal one also outside.
                with torch.inference_mode(tensor.is_inference()):
                    tensor.copy_(copy)


@contextmanager
def _random_state_kept(device: torch.device) -> Iterator[None]:
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        yield


def _expect(field: str, value: Any, kind: type, expected: str) -> None:
    if not isinstance(value, kind):
        raise TypeError(f"CacheContext.{field} must be {expected}, found {_kind(value)}")


def _kind(value: Any) -> str:
    return "None" if value is None else f"a {type(value).__qualname__}"


def _shape(tensor: torch.Tensor) -> str:
    return str(tuple(tensor.shape))


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
