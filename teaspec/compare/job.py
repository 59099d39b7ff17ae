"""What is generated for a comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from teaspec.compare.settings import Setting
from teaspec.pipelines.load import Source


@dataclass(frozen=True)
class Motif:
    """What is asked of the pipeline: each setting gets the same.

    Attributes:
        prompt: What the pictures are to show.
        seed: The seed of the noise.
    """

    prompt: str
    seed: int


@dataclass(frozen=True, eq=False)
class Job:
    """A comparison to be made.

    Attributes:
        name: Where the pipeline comes from, as the user says it.
        source: The pipeline.
        prompts: Each of these
        seeds: from each of these.
        settings: At least one.
        arguments: Further arguments of the pipeline.
    """

    name: str
    source: Source
    prompts: Sequence[str]
    seeds: Sequence[int]
    settings: Sequence[Setting]
    arguments: Mapping[str, Any]

    @property
    def motifs(self) -> tuple[Motif, ...]:
        """Each prompt with each seed."""
        return tuple(Motif(prompt, seed) for prompt in self.prompts for seed in self.seeds)

    @property
    def generations(self) -> int:
        """How many generations it takes: one that is repeated, and each motif uncached and with each setting."""
        return 1 + len(self.motifs) * (1 + len(self.settings))
