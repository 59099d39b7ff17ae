"""The facts about each class, as they are shipped in `models.json`.

They are gathered by `make models` from the specs and from what the compiler makes of them, so that showing them neither
compiles nor imports anything.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from teaspec.runtime.calibrations.calibration import Defaults
from teaspec.runtime.calibrations.thresholds import Threshold

FILE = Path(__file__).parent / "models.json"


@dataclass(frozen=True)
class Cost:
    """Floating point operations of a step.

    Attributes:
        full: Of a step without cache.
        reused: Of a reused step.
        dims: The sizes of the inputs.
        blocks: How many blocks each loop has.
    """

    full: int
    reused: int
    dims: Mapping[str, int]
    blocks: Mapping[str, int]

    @property
    def ratio(self) -> float:
        """Operations of a reused step over those of a full one."""
        return self.reused / self.full


@dataclass(frozen=True)
class ModelFacts:
    """What is known about one class.

    Attributes:
        name: The class, which is the key of the registry.
        aliases: Further keys.
        spec: The file of the spec.
        style: `dual` or `single`.
        signal: The value that decides.
        status: Whether coefficients are published, borrowed or none.
        variants: How many further sets of coefficients there are.
        thresholds: Published settings by the name of their set, `base` for the spec's own; sets without any are left
            out.
        residuals: The streams whose residual is cached.
        carried: The values that a reused step takes over from the last computed one.
        arguments: The arguments that enter the streams between blocks.
        still: Why a reused step stands still where all is another, or only the timestep; empty where it moves.
        untried: The inputs that the probe does not exercise, with the reason.
        cost: Operations of a reused step at the default config; None where PyTorch does not count them.
        absent: Which versions of diffusers have the class, where the installed one lacks it; None else.
    """

    name: str
    aliases: tuple[str, ...]
    spec: str
    style: str
    signal: str
    status: str
    variants: int
    thresholds: Mapping[str, tuple[Threshold, ...]]
    residuals: tuple[str, ...]
    carried: tuple[str, ...]
    arguments: tuple[str, ...]
    still: str
    untried: Mapping[str, str]
    cost: Cost | None
    absent: str | None = None

    @property
    def reused_step(self) -> str:
        """The share of a full step that a reused one costs, in two digits that say something, or why there is none."""
        if self.absent is not None:
            return f"absent: {self.absent}"
        if self.cost is None:
            return "not counted"
        percent = 100 * self.cost.ratio
        return f"{percent:.1f} %" if percent >= 1 else f"{float(f'{percent:.2g}'):.6f}".rstrip("0") + " %"

    @property
    def calibration(self) -> str:
        """The status, and how many further sets there are."""
        return f"{self.status} (+{self.variants})" if self.variants else self.status

    @property
    def range(self) -> str:
        """The lowest and the highest published threshold, of all sets; empty where none is published."""
        values = [one.thresh for several in self.thresholds.values() for one in several]
        return "" if not values else f"{min(values):g}" + (f" to {max(values):g}" if len(set(values)) > 1 else "")


@dataclass(frozen=True)
class Table:
    """The facts about all classes.

    Attributes:
        diffusers: The version of diffusers that they hold for.
        models: One for each spec, by the name of the class.
    """

    diffusers: str
    models: tuple[ModelFacts, ...]


def load_table(text: str | None = None) -> Table:
    """The shipped facts.

    Args:
        text: The table as JSON; None for the shipped one.
    """
    data: dict[str, Any] = json.loads(FILE.read_text(encoding="utf-8") if text is None else text)
    return Table(data["diffusers"], tuple(map(_model, data["models"])))


def _model(data: dict[str, Any]) -> ModelFacts:
    lists = {key: tuple(data[key]) for key in ("aliases", "residuals", "carried", "arguments")}
    cost = data["cost"] and Cost(**data["cost"])
    thresholds = {name: tuple(Threshold(**one) for one in several) for name, several in data["thresholds"].items()}
    return ModelFacts(**{**data, **lists, "cost": cost, "thresholds": thresholds})


def thresholds_of(defaults: Defaults) -> dict[str, tuple[Threshold, ...]]:
    """The published settings of a class, by the name of their set.

    Args:
        defaults: What its spec says.
    """
    return {name: one.thresholds for name, one in defaults.named().items() if one.thresholds}


def _plain(model: ModelFacts) -> dict[str, Any]:
    plain = dataclasses.asdict(model)
    if model.absent is None:
        del plain["absent"]
    return plain


def as_json(table: Table) -> str:
    """The table as text, one line for each class."""
    lines = ",\n".join(f"  {json.dumps(_plain(model))}" for model in table.models)
    return f'{{"diffusers": {json.dumps(table.diffusers)}, "models": [\n{lines}\n]}}\n'
