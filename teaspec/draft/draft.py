"""The draft: from a class to the text of a spec."""

from __future__ import annotations

import importlib
from dataclasses import dataclass

from torch import nn

from teaspec.compiler.report import did_you_mean
from teaspec.draft.blocks import are_enough
from teaspec.draft.construct import ConstructionError, build_on_meta, guess_config
from teaspec.draft.landmarks import Found, find_landmarks, refusal
from teaspec.draft.probe import ProbeDraft, draft_probe
from teaspec.draft.writing import write_spec


class DraftError(Exception):
    """There is nothing to draft from, and why."""


@dataclass(frozen=True)
class Draft:
    """A drafted spec.

    Attributes:
        text: The YAML.
        landmarks: What was found of the landmarks.
        probe: What was found of the probe.
    """

    text: str
    landmarks: Found
    probe: ProbeDraft


def draft_spec(model: str) -> Draft:
    """Drafts a spec from a model's class alone.

    Args:
        model: `package.Class`, `package.module.Class` or `package.module:Class`.

    Raises:
        DraftError: The class cannot be imported.
        ConstructionError: The constructor needs arguments that cannot be guessed; it says which.
        NoLandmarksError: The forward has no block loop.
        SpecError: The forward's source cannot be read.
    """
    model_class = import_class(model)
    config = guess_config(model_class)
    module = build_on_meta(model_class, config)
    found = find_landmarks(model, module)

    def accepts(small: nn.Module) -> bool:
        if found.error is None and refusal(model, small, found.guess) is not None:
            return False
        return are_enough(small, module, found.guess.loops)

    probe = draft_probe(model_class, config, found.guess.forward, accepts)
    return Draft(write_spec(model, model_class, found, probe), found, probe)


def import_class(model: str) -> type[nn.Module]:
    """Imports the class to draft for, wherever it lies: unlike a spec, the user who names it has chosen it.

    Raises:
        DraftError: It cannot be imported, or is no module of torch.
    """
    module_name, _, class_name = model.replace(":", ".").rpartition(".")
    try:
        module = importlib.import_module(module_name)
        found = getattr(module, class_name)
    except (ImportError, AttributeError, ValueError, RuntimeError) as error:
        near = did_you_mean(class_name, dir(module)) if "module" in locals() else ()
        raise DraftError("; ".join((f"cannot import `{model}`: {error}", *near))) from error
    if not (isinstance(found, type) and issubclass(found, nn.Module)):
        raise DraftError(f"`{model}` is not a `torch.nn.Module` class")
    return found


__all__ = ["ConstructionError", "Draft", "DraftError", "draft_spec", "import_class"]
