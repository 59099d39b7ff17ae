"""Which of a transformer type's calibrations a module gets: the one asked for, or the one that its config tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from torch import nn

from teaspec.runtime.calibrations.calibration import BASE, Calibration, Defaults
from teaspec.runtime.naming import did_you_mean, listed


@dataclass(frozen=True)
class Choice:
    """A calibration that was chosen.

    Attributes:
        name: `base`, or that of a variant.
        calibration: Coefficients, thresholds and where they are from.
        why: The second half of a sentence that begins with the name.
        doubt: What whoever decides by the calibration should know of it; empty where nothing is doubtful.
    """

    name: str
    calibration: Calibration
    why: str
    doubt: str = ""


def choose(
    defaults: Defaults, module: nn.Module, *, variant: str | None, may_choose: bool, may_compile: bool
) -> Choice:
    """Chooses a calibration for a module.

    Args:
        defaults: What is known about the module's type.
        module: The transformer; its `config` may tell its checkpoint.
        variant: The name that the user gave, or None.
        may_choose: Whether the config may decide. Coefficients of the user's own leave it nothing to choose.
        may_compile: Whether the extractor can be compiled for a signal of a variant's own.

    Raises:
        ValueError: If there is no variant of that name, or the extractor cannot give its signal.
    """
    sets = defaults.named()
    if variant is not None:
        return Choice(variant, _asked_for(sets, variant, type(module).__name__, may_compile), "was asked for")
    config = getattr(module, "config", None)
    if not may_choose or not isinstance(config, Mapping):
        return Choice(BASE, defaults, "needs no choice" if may_choose else "goes with coefficients of your own")
    usable = {name: one for name, one in sets.items() if one.match and (one.signal is None or may_compile)}
    return _told(usable, config, defaults, type(module).__name__)


def _asked_for(sets: Mapping[str, Calibration], variant: str, title: str, may_compile: bool) -> Calibration:
    if variant not in sets:
        raise ValueError(f"{title} has no variant {variant!r}{did_you_mean(variant, sets)} Known: {listed(sets)}")
    signal = sets[variant].signal
    if signal is not None and not may_compile:
        raise ValueError(
            f"variant {variant!r} of {title} decides by {signal!r}, which needs an extractor that is compiled for it; "
            f"the one in use is not made of a spec"
        )
    return sets[variant]


def _told(usable: Mapping[str, Calibration], config: Mapping[str, Any], defaults: Defaults, title: str) -> Choice:
    matching = [name for name, one in usable.items() if matches(one.match, config)]
    most = max((len(usable[name].match) for name in matching), default=0)
    best = [name for name in matching if len(usable[name].match) == most]
    if len(best) == 1:
        found = ", ".join(f"{key}={config[key]!r}" for key in usable[best[0]].match)
        return Choice(best[0], usable[best[0]], f"is the one for a config with {found}")
    if best:
        doubt = (
            f"The config of this {title} fits several calibrations: {listed(best)}. Taking the base set; pass "
            "`variant` to choose"
        )
        return Choice(BASE, defaults, "is taken where several would fit", doubt)
    doubt = ""
    if defaults.match:
        doubt = (
            f"The config of this {title} is that of no checkpoint that TeaCache was calibrated for. Taking the base "
            f"set, made for one with {wording(defaults.match)}; pass `variant` or `coefficients` to change that. Known "
            f"variants: {listed(defaults.variants)}"
        )
    return Choice(BASE, defaults, "is taken where no other fits" if defaults.variants else "is the only one", doubt)


def matches(match: Mapping[str, tuple[Any, ...]], config: Mapping[str, Any]) -> bool:
    """Returns whether a config has one of the wanted values under each key. A key that it lacks never fits."""
    return all(key in config and any(_equal(value, config[key]) for value in match[key]) for key in match)


def wording(match: Mapping[str, tuple[Any, ...]]) -> str:
    """Returns a match as messages show it."""
    return ", ".join(f"{key}={' or '.join(map(repr, values))}" for key, values in match.items())


def _equal(wanted: Any, found: Any) -> bool:
    if isinstance(wanted, str):
        return isinstance(found, str) and fnmatchcase(found.lower(), wanted.lower())
    if wanted is None or isinstance(wanted, bool):
        return found is wanted
    return isinstance(found, (int, float)) and not isinstance(found, bool) and bool(found == wanted)
