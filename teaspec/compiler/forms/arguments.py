"""What is known of the arguments of a call, by which calls are told apart."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class CallArguments:
    """Parameters of a model's forward, by what a caller makes of them.

    Attributes:
        timestep: Which is the timestep, in the order to try: the first that a call passes, and not as None. Empty where
            nothing is known.
        varying: Which are made anew at each step besides the timestep. All others are the same in one generation.
        bypass: Which send a call past the cache, as the spec writes it.
    """

    timestep: tuple[str, ...]
    varying: tuple[str, ...]
    bypass: tuple[str, ...] = ()
