"""Which argument of a forward is what: its timestep, what is made anew at each step, and its conditioning."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from teaspec.runtime.contract.arguments import ArgumentFinder
from teaspec.runtime.contract.bypass import Bypass

TIMESTEP_NAMES = ("timestep", "timesteps", "t", "time", "sigma", "sigmas")
"""How forwards call their timestep, where an extractor does not say which argument it is."""


@dataclass(frozen=True)
class Signature:
    """The arguments of a forward, by what they mean.

    Attributes:
        arguments: Finds them.
        timestep: Those that may be the timestep; the first that a call passes is.
        varying: Those that the caller makes anew at each step besides, what is denoised first.
        bypass: Which of them send a call past the cache.
    """

    arguments: ArgumentFinder = ArgumentFinder({})  # noqa: RUF009 - it is frozen
    timestep: tuple[str, ...] = TIMESTEP_NAMES
    varying: tuple[str, ...] = ()
    bypass: tuple[Bypass, ...] = ()

    @classmethod
    def of(cls, forward: Callable[..., Any], extractor: Any, bypass: tuple[Bypass, ...]) -> Signature:
        """Reads a forward's signature, and what its extractor says of it.

        Args:
            forward: The bound forward.
            extractor: Its attributes `timestep` and `varying` name arguments. Without them the timestep is told by its
                usual names, and the first argument is what varies; an empty `timestep` means that there is none.
            bypass: Which arguments send a call past the cache.
        """
        arguments = ArgumentFinder.of(forward)
        timestep, varying = getattr(extractor, "timestep", None), getattr(extractor, "varying", None)
        return cls(
            arguments,
            TIMESTEP_NAMES if timestep is None else _names(timestep),
            tuple(arguments.positions)[:1] if varying is None else _names(varying),
            bypass,
        )

    def latents(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Any:
        """Returns what a call denoises, None where it passes nothing of the kind."""
        for name in self.varying:
            value = self.arguments.find(name, args, kwargs)
            if value is not None:
                return value
        return None

    def conditioning(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Returns what a call passes besides its timestep and what is made anew at each step, by name."""
        left_out = self._left_out
        passed = {**dict(zip(self.arguments.positions, args, strict=False)), **kwargs} if args else kwargs
        return {name: value for name, value in passed.items() if name not in left_out}

    @cached_property
    def _left_out(self) -> frozenset[str]:
        return frozenset((*self.timestep, *self.varying))

    def goes_past(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
        """Returns whether an argument sends a call past the cache."""
        return any(rule.holds_for(self.arguments.find(rule.argument, args, kwargs)) for rule in self.bypass)


def _names(names: str | tuple[str, ...]) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)
