"""docs/models.md, from the facts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from teaspec.models.facts import Cost, ModelFacts, Table
from teaspec.runtime.calibrations.thresholds import SPEEDUPS, pick


def page(table: Table, exceptions: Mapping[str, str]) -> str:
    """Writes docs/models.md: the table first, then how it was counted and what cannot be.

    Args:
        table: The facts.
        exceptions: The classes without a spec, with the reason.
    """
    return "\n".join(
        [
            "# The models",
            "",
            "<!-- Written by `make models` from the specs and tools/models/exceptions.yaml. Do not edit. -->",
            "",
            _INTRODUCTION.format(count=len(table.models), version=table.diffusers),
            "| class, with its spec | style | signal | calibration | cached | reused step |",
            "| --- | --- | --- | --- | --- | ---: |",
            *map(_row, table.models),
            "",
            _MEANING,
            "## Published thresholds",
            "",
            _THRESHOLDS,
            "| class | set | published thresholds, with their speed-ups | quality | balanced | fast |",
            "| --- | --- | --- | ---: | ---: | ---: |",
            *(_published(model, name) for model in table.models for name in model.thresholds),
            "",
            "## What the reused step was counted at",
            "",
            "| class | tera-operations of a full step | blocks | sizes |",
            "| --- | ---: | --- | --- |",
            *(_counted(model, model.cost) for model in table.models if model.cost),
            "",
            "## What a reused step cannot follow",
            "",
            _CANNOT,
            *_cannot(table),
            "",
            "## Inputs that no probe exercises",
            "",
            *(_untried(table) or ["None."]),
            "",
            "## Classes without a spec",
            "",
            *([f"* `{name}`: {reason}" for name, reason in sorted(exceptions.items())] or ["None."]),
            "",
        ]
    )


_INTRODUCTION = """\
{count} classes of diffusers {version} have a spec. `teaspec list` shows this table, too.
"""

_MEANING = """\
* **style**: `dual` for a hidden and an encoder stream, `single` for one stream. **signal**: the value that decides;
  `norm` is the modulated input of the first block.
* **calibration**: whether coefficients were published for this model, are borrowed from another one, or do not exist
  (the identity is used); in parentheses the number of further sets, for other checkpoints or settings.
* **cached**: the streams whose change by the blocks is cached; with the word *carried* values that are made in the
  blocks and that a reused step takes over from the last computed one as they are.
* **reused step**: its floating point operations as a share of those of a full step. PyTorch's counter counts matrix
  products, convolutions and attention (flex attention as if nothing were masked), nothing else: the decision itself,
  norms, modulation and the addition of the residuals are left out, of both sides. So this is no time;
  [performance.md](performance.md) has times. Optional inputs are not passed. The model is as its constructor makes it
  without arguments, with all its blocks; what the constructor leaves open (None) comes from the spec's probe, and
  texts and truth values, too, where the class does not run without; so do the shapes of the inputs, with each width
  replaced by that of the default config. Where that leads nowhere, tools/models/sizes.yaml states config and inputs.
  Counted on the meta device; forwards that look at values ran on the CPU with smaller inputs, as the sizes below
  tell.
"""


_THRESHOLDS = """\
`teaspec.enable(pipe)` takes the one that is nearest to a speed-up of 1.6 (`preset="balanced"`) in the set that it
chose; `quality` looks for 1.3 and `fast` for 2. Of several the lowest is taken, and none that is slower than a lower
one by another source. Where no speed-up is told, it is the lowest, the middle one and the highest. `teaspec list CLASS`
has the sources. Where a set is not listed, the documented default of 0.2 is taken, and that is said.
"""


_CANNOT = """\
`teaspec check` compares a reused step with the model's own forward around blocks that replay an earlier call
([how](how-it-works.md#a-reused-step-is-proven-too)). That can be judged in every case of every probe. What a reused
step cannot follow, by what the model is:
"""


def _cannot(table: Table) -> list[str]:
    return [f"* `{model.name}`: {'; '.join(facts)}" for model in table.models if (facts := [*_facts(model)])]


def _facts(model: ModelFacts) -> Iterator[str]:
    if model.arguments:
        yield f"{_names(model.arguments)}: between blocks, as at the last computed step"
    if model.still:
        yield model.still


def _row(model: ModelFacts) -> str:
    names = [f"[`{model.name}`](../specs/{model.spec})", *(f"`{name}`" for name in model.aliases)]
    cached = [*(f"`{name}`" for name in model.residuals), *(f"`{name}` carried" for name in model.carried)]
    cells = [
        "<br>".join(names),
        model.style,
        f"`{model.signal}`",
        model.calibration,
        "<br>".join(cached),
        f"{model.reused_step}",
    ]
    return f"| {' | '.join(cells)} |"


def _published(model: ModelFacts, name: str) -> str:
    thresholds = model.thresholds[name]
    shown = ", ".join(
        f"{one.thresh:g}" + ("" if one.speedup is None else f" ({one.speedup:.3g}x)") for one in thresholds
    )
    picked = [pick(thresholds, preset) for preset in SPEEDUPS]
    cells = [f"`{model.name}`", f"`{name}`", shown, *(f"{one.thresh:g}" for one in picked if one is not None)]
    return f"| {' | '.join(cells)} |"


def _counted(model: ModelFacts, cost: Cost) -> str:
    blocks = ", ".join(f"{count} `{loop}`" for loop, count in cost.blocks.items())
    dims = ", ".join(f"{name} {size}" for name, size in cost.dims.items())
    return f"| `{model.name}` | {cost.full / 1e12:.3g} | {blocks} | {dims} |"


def _untried(table: Table) -> list[str]:
    return [
        f"* `{model.name}`: {'; '.join(f'`{name}` ({reason})' for name, reason in model.untried.items())}"
        for model in table.models
        if model.untried
    ]


def _names(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)
