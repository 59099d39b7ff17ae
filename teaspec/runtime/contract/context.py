"""What an extractor hands to the hook: one forward pass, cut before and after the transformer blocks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from teaspec.runtime.contract.validation import check_callables, check_tensors, check_types


@dataclass(eq=False)
class CacheContext:
    """One call of a transformer's forward, cut in three, so that the hook can stay free of any model.

    Attributes:
        modulated_input: Tensor whose change from step to step decides, usually the first block's input after norm and
            modulation. Floating; its first axis is that of `hidden_states`, or has frames or places folded into it, or
            all axes are the same in another order.
        hidden_states: The image or latent stream where it enters the blocks. Floating, as a rule batch first. The hook
            replaces it with the stream behind the blocks before `postprocess` runs.
        encoder_hidden_states: The text stream where it enters the blocks, or None where the model has no second stream
            or nothing behind the blocks reads it.
        temb: The timestep embedding; where the model has none before its blocks, the modulated input.
        run_transformer_blocks: Runs the blocks. Takes nothing; returns `(hidden_states,)`, or
            `(hidden_states, encoder_hidden_states)`, or with live values (below) `(hidden_states, *values)`.
        postprocess: Turns the processed hidden states (and the live values) into what the forward returns.
        extra_states: Further state, by name. `"live"` maps the names that `postprocess` needs beside the hidden states
            to the tensor that enters the blocks (a stream: its residual is cached) or to None (carried over from the
            last computed step as it is). The order is that of the blocks' results and of `postprocess`'s arguments.
    """

    modulated_input: torch.Tensor
    hidden_states: torch.Tensor
    encoder_hidden_states: torch.Tensor | None
    temb: torch.Tensor
    run_transformer_blocks: Callable[[], tuple[Any, ...]]
    postprocess: Callable[..., Any]
    extra_states: dict[str, Any] | None = None

    def validate(self) -> None:
        """Checks the fields, then runs the blocks and the postprocessing once, without gradients.

        The tensors of the context and torch's random state are left as they were, also by blocks that write into their
        input.

        Raises:
            TypeError: If a field has the wrong type.
            ValueError: If the tensors disagree in batch size (streams `[tokens, channels]` have none) or device, are
                empty, or hidden states are not floating.
            RuntimeError: If the blocks or the postprocessing fail, or the blocks return something else than documented.
        """
        check_types(self)
        check_tensors(self)
        check_callables(self)


@dataclass(frozen=True)
class Finished:
    """What an extractor returns in place of a context where the forward ends before it reaches the blocks.

    Attributes:
        value: What the forward returned. The hook hands it on and touches no state.
    """

    value: Any
