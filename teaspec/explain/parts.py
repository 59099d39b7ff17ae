"""The parts that a forward is cut into, in the words that people read."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """Where a statement goes.

    Attributes:
        key: Its name in the extractor's own terms; the class of its colour.
        word: What the margin says.
        meaning: What that means, one clause.
        on_reuse: Whether a reused step executes it.
    """

    key: str
    word: str
    meaning: str
    on_reuse: bool


PRELUDE = Part("prelude", "prelude", "before the blocks; every step executes it", True)
SUNK = Part("sunk", "sunk", "before the blocks, but only they need it: computed steps alone execute it", False)
NORM = Part(
    "norm", "norm slice", "what the modulated input is made of; every step executes it ahead of the blocks", True
)
BLOCKS = Part("blocks", "blocks", "the block loops and what lies between them; a reused step skips them", False)
POSTLUDE = Part("postlude", "postlude", "after the blocks; every step executes it", True)
DROPPED = Part("dropped", "dropped", "cannot reach the result; no step executes it", False)

PARTS = (PRELUDE, SUNK, NORM, BLOCKS, POSTLUDE, DROPPED)
"""All of them, in the order in which margins name them."""
