"""What a check found, as frozen data.

Nothing here prints. `teaspec/cli/check.py` renders a `CheckReport`, `as_dict` is its JSON form.
"""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class PropertyResult:
    """The outcome of one property over the drawn examples.

    Attributes:
        name: Short name of the property, such as `exact`.
        claim: The property in one sentence.
        passed: Whether it held for every drawn example.
        examples: How many examples were tried, those of the shrinking included.
        message: What went wrong; empty when the property held.
        minimal_example: The smallest failing example as text, or None.
        max_abs_difference: Largest absolute difference between the two outputs of the minimal example, where two
            outputs were compared.
    """

    name: str
    claim: str
    passed: bool
    examples: int
    message: str = ""
    minimal_example: str | None = None
    max_abs_difference: float | None = None


@dataclass(frozen=True)
class LandmarkLine:
    """A landmark and the line of the model's source where it was found."""

    role: str
    label: str
    file: str
    line: int
    source_line: str


@dataclass(frozen=True)
class CachedState:
    """What a computed step leaves in the state for the reused ones.

    Attributes:
        residuals: Names of the streams whose residual is stored.
        carried: Names of the values that are taken over from the last computed step as they are.
        arguments: Names of the arguments that enter the streams between blocks, so that a reused step carries over what
            those of the last computed step made of the streams.
    """

    residuals: tuple[str, ...]
    carried: tuple[str, ...]
    arguments: tuple[str, ...] = ()


@dataclass(frozen=True)
class Movement:
    """What moves a reused step.

    Attributes:
        by_time: Whether the timestep alone does; None where no timestep is known, or nothing is reused.
        frozen: Why it may return what the computed step did, whatever it is given, as the spec says; None else.
        unjudged: The cases of the probe of which nobody can say what a reused step has to be, each with the reason.
    """

    by_time: bool | None
    frozen: str | None
    unjudged: dict[int, str]


@dataclass(frozen=True)
class SunkLine:
    """A statement of the forward that a reused step does not execute although it stands before the blocks."""

    line: int
    text: str


@dataclass(frozen=True)
class Flops:
    """Floating point operations of the probe, as `torch.utils.flop_counter` counts them."""

    full: int
    reused: int

    @property
    def ratio(self) -> float:
        """Operations of a reused step over those of a full one."""
        return self.reused / self.full if self.full else float("nan")


@dataclass(frozen=True)
class CheckReport:
    """Everything that `teaspec check` shows about one spec.

    Attributes:
        spec: Name of the spec's document.
        model: Import path of the model, as the spec writes it.
        landmarks: The landmarks in the order loop, embed, norm, head.
        cached: What the state holds after a computed step, for the probe's base configuration.
        sunk: Statements that only computed steps execute.
        flops: Operations of a full and of a reused step, or None where a property failed or they cannot be counted.
        movement: What moves a reused step.
        untried: Parameters of the forward that no case of the probe passes, each with the reason that the spec gives.
        left_out: Parts of the probe that the installed version of the model lacks, each with the versions that have it.
        not_exercised: Parameters that no case of the probe passes, without a reason.
        properties: One result per property, in the order in which they ran.
        source: The generated extractor of the base configuration.
    """

    spec: str
    model: str
    landmarks: tuple[LandmarkLine, ...]
    cached: CachedState
    sunk: tuple[SunkLine, ...]
    flops: Flops | None
    movement: Movement
    untried: dict[str, str]
    left_out: tuple[str, ...]
    not_exercised: tuple[str, ...]
    properties: tuple[PropertyResult, ...]
    source: str

    @property
    def passed(self) -> bool:
        """Whether every property held."""
        return all(result.passed for result in self.properties)

    def as_dict(self) -> dict[str, Any]:
        """Returns the report as plain data for JSON, without the generated source."""
        data = dataclasses.asdict(self)
        del data["source"]
        data["passed"] = self.passed
        if self.flops is not None:
            data["flops"]["ratio"] = _finite(self.flops.ratio)
        for result in data["properties"]:
            result["max_abs_difference"] = _finite(result["max_abs_difference"])
        return data


def _finite(number: float | None) -> float | str | None:
    """JSON has no word for a number that is not finite."""
    return number if number is None or math.isfinite(number) else str(number)
