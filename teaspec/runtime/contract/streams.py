"""The values that cross from the blocks to the postprocessing, read off a context."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    import torch

HIDDEN = "hidden_states"
ENCODER = "encoder_hidden_states"
LIVE = "live"


class Cut(Protocol):
    """The fields of a `CacheContext`, for those that it is itself made of."""

    @property
    def modulated_input(self) -> torch.Tensor:
        """What decides."""

    @property
    def hidden_states(self) -> torch.Tensor:
        """The hidden stream where it enters the blocks."""

    @property
    def encoder_hidden_states(self) -> torch.Tensor | None:
        """The encoder stream there, or None."""

    @property
    def temb(self) -> torch.Tensor:
        """The timestep embedding."""

    @property
    def run_transformer_blocks(self) -> Callable[[], tuple[Any, ...]]:
        """Runs the blocks."""

    @property
    def postprocess(self) -> Callable[..., Any]:
        """What comes after the blocks."""

    @property
    def extra_states(self) -> dict[str, Any] | None:
        """Further state, by name."""


@dataclass(frozen=True, eq=False)
class Stream:
    """One value that the blocks return.

    Attributes:
        key: The name under which its residual is kept; `hidden_states` and `encoder_hidden_states` for those two,
            whatever the model calls them.
        entry: The tensor that enters the blocks, or None for a value that is carried over.
        required: Whether the blocks must return it.
    """

    key: str
    entry: torch.Tensor | None
    required: bool = True


def find_live(context: Cut) -> dict[str, torch.Tensor | None] | None:
    """Returns the live values beside the hidden states, or None for a context of the plain contract."""
    return None if context.extra_states is None else context.extra_states.get(LIVE)


def streams_of(context: Cut) -> tuple[Stream, ...]:
    """Returns the streams in the order in which the blocks return them, hidden states first."""
    hidden = Stream(HIDDEN, context.hidden_states)
    encoder = context.encoder_hidden_states
    live = find_live(context)
    if live is not None:
        named = {name: entry for name, entry in live.items() if entry is not None and entry is encoder}
        first = next(iter(named), None)  # two names may stand for one tensor
        keys = (ENCODER if name == first else f"{LIVE}.{name}" for name in live)
        return (hidden, *(Stream(key, entry) for key, entry in zip(keys, live.values(), strict=True)))
    # The plain contract: blocks of a dual-stream model may still return the hidden states alone.
    return (hidden,) if encoder is None else (hidden, Stream(ENCODER, encoder, required=False))


def postprocess_arguments(context: Cut, values: tuple[Any, ...]) -> tuple[Any, ...]:
    """Returns what `postprocess` takes, out of the values behind the blocks."""
    return values[:1] if find_live(context) is None else values
