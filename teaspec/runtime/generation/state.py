"""What the cache remembers about one branch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch.utils._pytree import tree_leaves

from teaspec.runtime.generation.conditioning import Conditioning
from teaspec.runtime.keep.overwrite import Kept
from teaspec.runtime.rules.forecast import Computed
from teaspec.runtime.rules.threshold import Accumulated

if TYPE_CHECKING:
    from teaspec.runtime.keep.memory import Origin
    from teaspec.runtime.rules.rule import Rule

Layout = tuple[tuple[str, Any, Any, Any], ...]


@dataclass(eq=False)
class TeaCacheState:
    """The state of one branch (one CFG pass) across the denoising steps.

    The hook replaces a state at the end of a call, never changes one half-way.

    Attributes:
        cnt: Steps seen.
        consecutive_reuses: Steps reused since the last computed one.
        previous_residual: Hidden states behind the blocks minus those before them, at the last computed step, detached.
        previous_residual_encoder: The same for the encoder stream, only where something behind the blocks reads it.
        previous_live: Residuals of further live streams, and values carried over, by stream key.
        origins: Device and dtype that the residuals and carried values have when they are used, by stream key.
        computed_at: When the last computed step was: its timestep, or its number where there is no timestep.
        earlier: The computed step before the last one, with those before it; empty unless residuals are forecast.
        layout: Name, shape, dtype and device of the modulated input and of each stream at the last step.
        conditioning: What the branch was given at the last step.
        ruling: The kind of the rule that decided so far, None before the first step.
        memory: What that rule knows; nobody else looks into it.
    """

    cnt: int = 0
    consecutive_reuses: int = 0
    previous_residual: torch.Tensor | None = None
    previous_residual_encoder: torch.Tensor | None = None
    previous_live: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, Origin] = field(default_factory=dict)
    computed_at: float | None = None
    earlier: Computed = field(default_factory=Computed)
    layout: Layout = ()
    conditioning: Conditioning = field(default_factory=Conditioning)
    ruling: type[Rule] | None = None
    memory: Any = None

    @property
    def accumulated_rel_l1_distance(self) -> float:
        """Sum of the rescaled distances since the last computed step; 0 where another rule decides."""
        return self.memory.total if isinstance(self.memory, Accumulated) else 0.0

    @property
    def previous_modulated_input(self) -> torch.Tensor | None:
        """The last step's modulated input, detached, computed or reused; None where another rule decides."""
        kept = self.memory.kept if isinstance(self.memory, Accumulated) else None
        return None if kept is None else kept.value

    def tensors(self) -> list[torch.Tensor]:
        """Returns all tensors that the state holds."""
        held = (self.previous_residual, self.previous_residual_encoder, *self.conditioning.tensors)
        earlier = [dict(one.residuals) for one in self.earlier.chain()]
        leaves = tree_leaves((held, self.previous_live, earlier, self.memory))
        kept = [tensor for leaf in leaves if isinstance(leaf, Kept) for tensor in (leaf.tensor, leaf.copy)]
        return [leaf for leaf in (*leaves, *kept) if isinstance(leaf, torch.Tensor)]

    def reset(self) -> None:
        """Forgets everything."""
        vars(self).update(vars(TeaCacheState()))
