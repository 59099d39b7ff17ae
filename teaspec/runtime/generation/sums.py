"""What all generations on one transformer came to."""

from __future__ import annotations

from dataclasses import dataclass

from teaspec.runtime.rules.record import Generation


@dataclass(frozen=True)
class Sums:
    """Counts over generations.

    Attributes:
        generations: Those in which something was decided, the running one included.
        computed: Calls that ran the blocks.
        reused: Calls that reused a residual.
    """

    generations: int = 0
    computed: int = 0
    reused: int = 0

    def plus(self, generation: Generation) -> Sums:
        """Returns the sums with one generation more; one without decisions does not count."""
        counts = generation.counts.values()
        if not counts:
            return self
        return self + Sums(1, sum(one.computed for one in counts), sum(one.reused for one in counts))

    def __add__(self, other: Sums) -> Sums:
        return Sums(self.generations + other.generations, self.computed + other.computed, self.reused + other.reused)
