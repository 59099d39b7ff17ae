"""What the cache remembers about one branch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch.utils._pytree import tree_leaves

from teaspec.runtime.generation.conditioning import Conditioning
from teaspec.runtime.rules.forecast import Computed

if TYPE_CHECKING:
    from teaspec.runtime.keep.memory import Origin
    from teaspec.runtime.keep.overwrite import Kept

Layout = tuple[tuple[str, Any, Any, Any], ...]


@dataclass(eq=False)
class TeaCacheState:
    """The state of one branch (one CFG pass) across the denoising steps.

    The hook replaces a state at the end of a call, never changes one half-way.

    Attributes:
        cnt: Steps seen.
        accumulated_rel_l1_distance: Sum of the rescaled distances since the last computed step.
        consecutive_reuses: Steps reused since the last computed one.
        previous_modulated_input: The last step's modulated input, detached; updated on computed and reused steps alike.
        previous_residual: Hidden states behind the blocks minus those before them, at the last computed step, detached.
        previous_residual_encoder: The same for the encoder stream, only where something behind the blocks reads it.
        previous_live: Residuals of further live streams, and values carried over, by stream key.
        origins: Device and dtype that the residuals and carried values have when they are used, by stream key.
        computed_at: When the last computed step was: its timestep, or its number where there is no timestep.
        earlier: The computed step before the last one; empty unless residuals are forecast.
        layout: Name, shape, dtype and device of the modulated input and of each stream at the last step.
        kept_input: Tells whether `previous_modulated_input` was overwritten since.
        conditioning: What the branch was given at the last step.
    """

    cnt: int = 0
    accumulated_rel_l1_distance: float = 0.0
    consecutive_reuses: int = 0
    previous_modulated_input: torch.Tensor | None = None
    previous_residual: torch.Tensor | None = None
    previous_residual_encoder: torch.Tensor | None = None
    previous_live: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, Origin] = field(default_factory=dict)
    computed_at: float | None = None
    earlier: Computed = field(default_factory=Computed)
    layout: Layout = ()
    kept_input: Kept | None = None
    conditioning: Conditioning = field(default_factory=Conditioning)

    def tensors(self) -> list[torch.Tensor]:
        """Returns all tensors that the state holds."""
        kept = () if self.kept_input is None else (self.kept_input.tensor, self.kept_input.copy)
        held = (self.previous_modulated_input, self.previous_residual, self.previous_residual_encoder, *kept)
        held += self.conditioning.tensors
        return [
            leaf
            for leaf in tree_leaves((held, self.previous_live, dict(self.earlier.residuals)))
            if isinstance(leaf, torch.Tensor)
        ]

    def reset(self) -> None:
        """Forgets everything."""
        vars(self).update(vars(TeaCacheState()))
