"""The extractor of a spec, as the registry holds it: parsed when something is asked, compiled when a model needs it."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from teaspec.runtime.calibrations.calibration import Calibration, Defaults
from teaspec.runtime.calibrations.gains import Gain
from teaspec.runtime.calibrations.plans import Plan
from teaspec.runtime.calibrations.thresholds import Threshold

if TYPE_CHECKING:
    import torch

    from teaspec.compiler import CompiledExtractor, Spec
    from teaspec.compiler.forms.functions import FindReplaced
    from teaspec.compiler.forms.spec import CheckpointFacts
    from teaspec.runtime.contract.context import CacheContext, Finished


class SpecExtractor:
    """The extractor of a spec: compiles itself for each kind of module that it meets.

    Attributes:
        path: The spec's file.
    """

    def __init__(self, path: Path, spec: Spec | None = None) -> None:
        """Does not read the file.

        Args:
            path: The spec's file, or what stands for one in messages.
            spec: What it holds, where that is known already.
        """
        self.path = path
        self._spec = spec

    @property
    def spec(self) -> Spec:
        """The spec, parsed on first use.

        Raises:
            SpecError: The file is no valid spec.
        """
        if self._spec is None:
            from teaspec.compiler import load_spec  # the compiler is slow to import

            self._spec = load_spec(self.path)
        return self._spec

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

    def compiled_for(
        self, module: torch.nn.Module, variant: str | None = None, replaced: FindReplaced | None = None
    ) -> CompiledExtractor:
        """The compiled extractor for a module: one for each class, block structure and signal, and for each forward.

        A forward that was set on the module in place of its class's is what is cut.

        Args:
            module: An instance of the spec's model.
            variant: A variant of the spec, whose signal decides; None takes the spec's own.
            replaced: Gives the forward that was set on a module in place of its class's, where hooks of another library
                than diffusers may wrap it.

        Raises:
            SpecError: The spec does not fit the module.
        """
        from teaspec.compiler import compile_spec
        from teaspec.runtime.host.chain import replaced_forward

        spec = self.spec if variant is None else self.spec.for_variant(variant)
        return compile_spec(spec, module, replaced=replaced or replaced_forward)

    def __call__(self, module: torch.nn.Module, *args: Any, **kwargs: Any) -> CacheContext | Finished:
        """Cuts one call of the module's forward.

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
        "thresholds": tuple(
            Threshold(one.thresh, one.speedup, one.note, source=facts.source) for one in facts.thresholds
        ),
        "plans": tuple(Plan(**{**dict(one), "computed": tuple(one.computed)}) for one in facts.plans),
        "tolerance": None if facts.tolerance is None else Gain(**dict(facts.tolerance)),
    }
