"""Joins the compiler to the runtime: registers an extractor for every shipped spec.

Registering reads the first lines of each spec for its class name and nothing else. A spec is parsed when something
about it is asked, and compiled when a model first needs it.
"""

from __future__ import annotations

import re
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from teaspec.runtime.calibration import Calibration, Defaults
from teaspec.runtime.registry import register_extractor

if TYPE_CHECKING:
    import torch

    from teaspec.compiler import CompiledExtractor, Spec
    from teaspec.compiler.forms.spec import CheckpointFacts
    from teaspec.runtime.context import CacheContext, Finished

_MODEL = re.compile(r"^model:\s*[\"']?([\w.:]+)", re.MULTILINE)
_ALIASES = re.compile(r"^aliases:((?:.|\n(?=[ \t\]-]))*)", re.MULTILINE)
_COMMENT = re.compile(r"#.*")
_NAME = re.compile(r"\w+")


class SpecExtractor:
    """The extractor of a spec: compiles itself for each kind of module that it meets.

    Attributes:
        path: The spec's file.
    """

    def __init__(self, path: Path) -> None:
        """Takes the spec's file; does not read it."""
        self.path = path

    @cached_property
    def spec(self) -> Spec:
        """The spec, parsed on first use.

        Raises:
            SpecError: The file is no valid spec.
        """
        from teaspec.compiler import load_spec  # the compiler is slow to import

        return load_spec(self.path)

    @cached_property
    def defaults(self) -> Defaults:
        """What the spec says to be published, of the model and of each variant."""
        facts = self.spec.teacache
        variants = {
            name: Calibration(**_plain(variant), signal=variant.signal) for name, variant in facts.variants.items()
        }
        return Defaults(**_plain(facts), variants=variants)

    @property
    def bypass(self) -> tuple[str, ...]:
        """Which arguments send a call past the cache, as the spec writes it."""
        return tuple(self.spec.bypass)

    def compiled_for(self, module: torch.nn.Module, variant: str | None = None) -> CompiledExtractor:
        """The compiled extractor for a module: one for each class, block structure and signal.

        Args:
            module: An instance of the spec's model.
            variant: A variant of the spec, whose signal decides; None takes the spec's own.

        Raises:
            SpecError: The spec does not fit the module.
        """
        from teaspec.compiler import compile_spec

        return compile_spec(self.spec if variant is None else self.spec.for_variant(variant), module)

    def __call__(self, module: torch.nn.Module, *args: Any, **kwargs: Any) -> CacheContext | Finished:
        """Cut one call of the module's forward.

        Args:
            module: An instance of the spec's model.
            *args: Positional arguments of its forward.
            **kwargs: Keyword arguments of its forward.
        """
        context: CacheContext | Finished = self.compiled_for(module)(module, *args, **kwargs)
        return context

    def __repr__(self) -> str:
        return f"<extractor of {self.path.name}>"


def _plain(facts: CheckpointFacts) -> dict[str, Any]:
    """The facts of a spec as the runtime takes them."""
    return {
        "coefficients": tuple(facts.coefficients),
        "accumulate": facts.accumulate,
        "status": facts.status,
        "source": facts.source,
        "warmup_steps": facts.warmup_steps,
        "match": dict(facts.match),
    }


def shipped_folder() -> Path:
    """Where the specs lie that come with teaspec: inside the package when installed, beside it in a checkout."""
    package = Path(__file__).parent
    return package / "specs" if (package / "specs").is_dir() else package.parent / "specs"


def shipped_specs() -> list[Path]:
    """The specs that come with teaspec."""
    return sorted(shipped_folder().glob("*.yaml"))


def register_shipped_specs() -> None:
    """Register an extractor for every shipped spec, under its class name and its aliases."""
    for path in shipped_specs():
        text = path.read_text(encoding="utf-8")
        model = _MODEL.search(text)
        if model is None:
            continue
        names = [model[1].replace(":", ".").rpartition(".")[2]]
        for aliases in _ALIASES.finditer(text):
            names += _NAME.findall(_COMMENT.sub("", aliases[1]))  # a flow list or a block list of identifiers
        extractor = SpecExtractor(path)
        for name in names:
            register_extractor(name, extractor)
