"""What a rule is: it decides whether a step is computed or reused, and nothing else in the runtime knows how.

A rule is a value. What it knows of a branch is handed in and out, and never changed: the runtime keeps it beside the
branch's residuals, copies it, forgets it and counts its bytes. A call that fails leaves all of it as it was.

    init(start) -> memory                        at the first step of a branch
    measure(call, memory) -> sums                what ranks add up, read from the device together with all else
    decide(numbers, place, memory) -> verdict
    follow(call, verdict, place, memory) -> memory    at each step, before its blocks run
    learn(error, memory) -> memory               behind the blocks of a computed step, where the rule asks for it
    forecast(place) -> forecast or None          what a reused step adds, where that goes with the rule
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from teaspec.runtime.host.compiled import runs_compiled
from teaspec.runtime.rules.verdict import Verdict

if TYPE_CHECKING:
    import torch

    from teaspec.runtime.contract.streams import Cut
    from teaspec.runtime.keep.memory import Storage
    from teaspec.runtime.keep.overwrite import Kept, OverwriteWatch
    from teaspec.runtime.rules.forecast import Forecast
    from teaspec.runtime.rules.missed import Missed
    from teaspec.runtime.rules.steps import Guards, Place

Memory = Any
"""What a rule knows of one branch: numbers, tensors and kept tensors, in tuples, named tuples, lists and dicts."""

Sums = Sequence[Any]
"""Tensors without dimensions, or numbers; those of several processes, each with a share of the call, can be added."""


@dataclass(frozen=True)
class Start:
    """Where a branch begins, or begins anew.

    Attributes:
        place: Where its first step is in its generation.
        guards: What is computed in any case.
        computed: Steps of it that were computed in this generation, by another transformer or before it was lost.
    """

    place: Place
    guards: Guards
    computed: int = 0


class Seen:
    """What a rule may look at of a call.

    Attributes:
        signal: The modulated input; for rules with `needs_signal` alone.
        hidden_states: The hidden stream where it enters the blocks.
    """

    signal: torch.Tensor

    def __init__(self, cut: Cut, watch: OverwriteWatch, storage: Storage, *, with_signal: bool) -> None:
        """Shows a call.

        Args:
            cut: The call, cut.
            watch: Knows which tensors are written to.
            storage: Where cached tensors are kept.
            with_signal: Whether the modulated input was computed.
        """
        self.hidden_states = cut.hidden_states
        self._watch, self._storage = watch, storage
        if with_signal:
            self.signal = cut.modulated_input

    def __getattr__(self, name: str) -> Any:
        """Says why there is no signal."""
        if name == "signal":
            raise RuntimeError(
                "a rule asked for the modulated input, which is left out for rules that do not say that they need it; "
                "set `needs_signal = True` on the class"
            )
        raise AttributeError(name)

    def keep(self, name: str, tensor: torch.Tensor) -> Kept:
        """Keeps a tensor for the steps to come, with a copy as long as its owner may write to it.

        Args:
            name: What it is; each name is watched for itself.
            tensor: On any device, and part of a graph or not.

        Returns:
            What a rule puts into its memory, and hands to `recall` at a later step.
        """
        if runs_compiled():
            self._watch.suspect(name)
        return self._watch.keep(name, tensor, self._storage)

    def recall(self, name: str, kept: Kept) -> torch.Tensor | None:
        """Returns what was kept, None where it has been written over since.

        Args:
            name: What it is, as it was called when it was kept.
            kept: What `keep` returned.
        """
        self._watch.learn(name, kept)
        return kept.find()


class Rule(ABC):
    """Decides whether a step is computed or reused. Subclasses are frozen dataclasses: equal fields, the same rule.

    Attributes:
        needs_signal: Whether it looks at the modulated input; where it does not, that is not even computed.
        needs_error: Whether `learn` is to be called.
        places_the_end: Whether it sees to the last step itself, which is computed otherwise where its number is known.
        sums: How many sums `measure` returns.
        columns: Names of the numbers in its verdicts, in the order in which a table shows them.
        compared: The one of them that is compared with `bound`; None where there is none.
        added: The one that a step adds to it; None where there is none.
    """

    needs_signal: bool = False
    needs_error: bool = False
    places_the_end: bool = False
    sums: int = 0
    columns: tuple[str, ...] = ()
    compared: str | None = None
    added: str | None = None

    @property
    def bound(self) -> float | None:
        """What `compared` is compared with; None where there is nothing."""
        return None

    def init(self, start: Start) -> Memory:
        """Returns what is known of a branch before its first step here, which is computed in any case.

        Args:
            start: Where that step is.

        Raises:
            ValueError: If the rule needs the number of steps, and nobody knows it.
        """
        return None

    def measure(self, call: Seen, memory: Memory) -> Sums | str:
        """Measures a call, without reading anything from its device.

        Args:
            call: What may be looked at, and what was kept of earlier ones.
            memory: What is known of its branch.

        Returns:
            As many sums as `sums` says; or the reason why the step has to be computed, where nothing can be measured.
        """
        return ()

    def numbers(self, sums: Sums) -> Sums:
        """Returns what is to be read of the sums; computed where they are, so that little has to be read.

        Args:
            sums: What `measure` returned, that of all ranks added up.
        """
        return sums

    @abstractmethod
    def decide(self, numbers: Sequence[float], place: Place, memory: Memory) -> Verdict:
        """Decides about a step that nothing forces.

        Args:
            numbers: What was measured, read.
            place: Where the step is.
            memory: What is known of its branch.

        Returns:
            Compute or reuse, why, and the numbers that a record of it shows.
        """

    def follow(self, call: Seen, verdict: Verdict, place: Place, memory: Memory) -> Memory:
        """Returns what is known behind a step. It is asked at each one, whatever decided, before the blocks run.

        Args:
            call: What may be looked at and kept, before its blocks run.
            verdict: What is done.
            place: Where the step is.
            memory: What was known before.
        """
        return memory

    def learn(self, error: Missed, memory: Memory) -> Memory:
        """Returns what is known behind a computed step; for rules with `needs_error` alone.

        Args:
            error: What a forecast of its residuals would have been off by. What is summed up of it here, not read yet,
                `measure` may return at the next step.
            memory: What was known before.
        """
        return memory

    def forecast(self, place: Place) -> Forecast | None:
        """Returns what a reused step adds, where that goes with what the rule decides; None leaves it to the settings.

        Args:
            place: Where the step is.
        """
        return None

    def is_overdue(self, memory: Memory) -> bool:
        """Returns whether a branch that had to go with others would have been computed at its last step.

        Args:
            memory: What is known of it.
        """
        return False

    def __str__(self) -> str:
        return type(self).__name__.lower()
