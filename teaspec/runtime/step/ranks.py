"""What processes that share a call tell each other, so that all of them decide alike.

A rank that computes waits in the collectives of its blocks for those that do not: ranks that decided each by its own
share of the sequence would wait forever. So every call of a hooked transformer enters the same collectives in the same
order, whatever its rank alone would do: one of the ranks that share the sequence, then, where branches decide together,
one of the ranks that hold a branch each. A rank with a reason of its own to compute brings it along.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist

from teaspec.runtime.contract.arguments import tensors_in
from teaspec.runtime.host.groups import cfg_group, sequence_group
from teaspec.runtime.rules.numbers import read

if TYPE_CHECKING:
    from torch.distributed import ProcessGroup

    from teaspec.runtime.rules.rule import Rule, Sums
    from teaspec.runtime.settings.config import DiffusionCacheConfig

ELSEWHERE = "another rank"
"""The reason of a step that only other ranks had a reason to compute."""


@dataclass(frozen=True)
class Reading:
    """What a call is decided by, the same on all ranks.

    Attributes:
        numbers: What the rule goes by, None where no rank is to.
        level: That of the call's timestep.
        restarts: Whether a rank begins a new generation.
        computes: Whether a rank has a reason to compute that is not the rule's.
        differs: Whether the conditioning is not that of the branch.
        spread: Whether rows of the call are at different timesteps.
        switched: Whether a branch goes on with another layout.
        parted: Whether some ranks do, and some do not, so that their states are not alike.
    """

    numbers: Sequence[float] | None
    level: float | None
    restarts: bool
    computes: bool
    differs: bool
    spread: bool
    switched: bool = False
    parted: bool = False


@dataclass(frozen=True)
class Ranks:
    """The processes that share a call.

    Attributes:
        sequence: Those that hold a share of the sequence each; None where this one holds all of it.
        branches: Those that hold a branch each and decide together; None where there are none.
        device: Where they exchange numbers: that of the call's tensors.
    """

    sequence: ProcessGroup | None = None
    branches: ProcessGroup | None = None
    device: torch.device | None = None

    @classmethod
    def of(cls, config: DiffusionCacheConfig, module: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Ranks:
        """Returns the processes that share a call.

        Args:
            config: May have the groups.
            module: The transformer, of which they may be found out.
            args: The call's positional arguments.
            kwargs: Its keyword arguments.
        """
        sequence = sequence_group(config.process_group, module)
        branches = cfg_group(config.cfg_group, module) if config.decide == "any" else None
        if sequence is None and branches is None:
            return ALONE
        # Timesteps and sizes may be on the CPU while the rest is not.
        devices = sorted(
            {tensor.device for tensor in tensors_in(args, kwargs)}, key=lambda device: device.type == "cpu"
        )
        return cls(sequence, branches, next(iter(devices), None))

    def read(
        self,
        rule: Rule,
        sums: Sums | None,
        level: float | torch.Tensor | None,
        *,
        restarts: bool = False,
        computes: bool = False,
        differs: bool | torch.Tensor = False,
        spread: bool | torch.Tensor = False,
        switched: bool = False,
    ) -> Reading:
        """Reads what a call is decided by, and waits for an accelerator once.

        Args:
            rule: Says what is read of its sums.
            sums: What it measured of this rank's share, None where it measured nothing.
            level: The level of the call's timestep, as far as it is known.
            restarts: Whether the call begins a new generation, as far as this rank can tell.
            computes: Whether this rank has a reason to compute that is not the rule's.
            differs: Whether the conditioning of this rank's share is not that of the branch.
            spread: Whether rows of it are at different timesteps.
            switched: Whether its branch goes on with another layout.
        """
        if self.sequence is None:
            measured = () if sums is None else rule.numbers(sums)
            *found, known, differs, spread = read(*measured, level, differs, spread)
            numbers = None if sums is None else found
            return Reading(numbers, known, restarts, computes, bool(differs), bool(spread), switched)
        # Timesteps may be split like the sequence: ranks that saw other levels would begin generations alone.
        own = (0,) * rule.sums if sums is None else sums
        times = (0, 0) if level is None else (level, 1)
        added = self._sum(self.sequence, *own, *times, restarts, computes, differs, spread, switched)
        measured = rule.numbers(added[: rule.sums])
        values = torch.stack([*measured, *added[rule.sums :]]).tolist()
        found, (levels, timed, *raised) = values[: len(measured)], values[len(measured) :]
        restarting, computing, differing, spreading, switching = (count > 0 for count in raised)
        return Reading(
            numbers=None if computing else found,
            level=None if level is None else levels / timed,  # a rank with a call past the cache has none
            restarts=restarting,
            computes=computing,
            differs=differing,
            spread=spreading,
            switched=switching,
            parted=switching and raised[-1] < self.sequence.size(),
        )

    def does_another_compute(self, computes: bool) -> bool:
        """Returns whether a rank with another branch computes.

        Args:
            computes: Whether this rank does.
        """
        if self.branches is None:
            return False
        (computing,) = self._sum(self.branches, computes)
        return computing.item() > computes

    def pass_by(self, rule: Rule) -> None:
        """Has the others not wait for a call that is not decided at all; what they do in the meantime is computed.

        Args:
            rule: That of the others, too.
        """
        if self.sequence is not None:
            self.read(rule, None, None, computes=True)
        self.does_another_compute(True)

    def _sum(self, group: ProcessGroup, *numbers: float | torch.Tensor) -> tuple[torch.Tensor, ...]:
        with torch.no_grad():
            # Filled there, not copied there: a copy of a number to an accelerator waits for it.
            parts = [
                number.to(self.device, torch.float32)
                if isinstance(number, torch.Tensor)
                else torch.full((), float(number), dtype=torch.float32, device=self.device)
                for number in numbers
            ]
            sums = torch.stack(parts)
            dist.all_reduce(sums, group=group)
        return sums.unbind()


ALONE = Ranks()
"""A call that no other process shares."""
