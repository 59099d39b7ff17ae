"""docs/models.md, from the facts."""

from __future__ import annotations

from collections.abc import Mapping

from teaspec.models.facts import Cost, ModelFacts, Table

_NOTES = {"default": "", "layers": " [^layers]", "probe": " [^probe]", "tiny": " [^tiny]", None: " [^none]"}


def page(table: Table, exceptions: Mapping[str, str]) -> str:
    """The page as Markdown.

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
            "| class | spec | style | signal | calibration | residuals | carried | reused step |",
            "| --- | --- | --- | --- | --- | --- | --- | ---: |",
            *map(_row, table.models),
            "",
            _MEANING,
            "## What the reused step was counted at",
            "",
            "| class | tera-operations of a full step | blocks | sizes |",
            "| --- | ---: | --- | --- |",
            *(_counted(model, model.cost) for model in table.models if model.cost),
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
* **residuals**: the streams whose change by the blocks is cached. **carried**: values that are made in the blocks and
  that a reused step takes over from the last computed one as they are.
* **reused step**: its floating point operations as a share of those of a full step. PyTorch's counter counts matrix
  products, convolutions and attention, nothing else: the decision itself, norms, modulation and the addition of the
  residuals are left out, of both sides. So this is no time; [performance.md](performance.md) has times. Optional
  inputs are not passed. Counted on the meta device with the model as its constructor makes it without arguments. What
  the constructor leaves open (None) comes from the spec's probe, and texts and truth values, too, where the class does
  not run without; so do the shapes of the inputs, with each width replaced by that of the default config.

[^layers]: This forward looks at values, or takes an item for each block, so it ran on the CPU, at the default widths,
    with as many blocks as the probe has and with smaller inputs; the operations of one block of each loop, times the
    blocks left out, were added.
[^probe]: Inputs for the default config could not be derived from the probe, so these are the probe's own widths; the
    operations of one block of each loop, times the blocks that the default config has beyond the probe's, were added.
    At such small widths the share of what is not blocks is far larger than at the real ones.
[^tiny]: The model goes together in no other size, or takes minutes to count, so this is the probe as it stands,
    with its few blocks: the share at the default config is far smaller.
[^none]: The forward calls an operator that takes operators, such as flex attention; PyTorch's counter does not let it
    through.
"""


def _row(model: ModelFacts) -> str:
    names = "<br>".join(f"`{name}`" for name in (model.name, *model.aliases))
    cells = [
        names,
        f"[{model.spec.removesuffix('.yaml')}](../specs/{model.spec})",
        model.style,
        f"`{model.signal}`",
        model.calibration,
        _names(model.residuals),
        _names(model.carried),
        f"{model.reused_step}{_note(model)}",
    ]
    return f"| {' | '.join(cells)} |"


def _counted(model: ModelFacts, cost: Cost) -> str:
    blocks = ", ".join(f"{count} `{loop}`" for loop, count in cost.blocks.items())
    dims = ", ".join(f"{name} {size}" for name, size in cost.dims.items())
    return f"| `{model.name}` | {cost.full / 1e12:.3g}{_note(model)} | {blocks} | {dims} |"


def _note(model: ModelFacts) -> str:
    return _NOTES[model.cost.way if model.cost else None]


def _untried(table: Table) -> list[str]:
    return [
        f"* `{model.name}`: {'; '.join(f'`{name}` ({reason})' for name, reason in model.untried.items())}"
        for model in table.models
        if model.untried
    ]


def _names(names: tuple[str, ...]) -> str:
    return "<br>".join(f"`{name}`" for name in names)
