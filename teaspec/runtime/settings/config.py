"""The user's settings: for a pipeline, and for one transformer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import KW_ONLY, dataclass, fields
from typing import TYPE_CHECKING, Any, Literal, get_args

import torch

from teaspec.defaults import DOCUMENTED_TRANSFORMER_TYPE
from teaspec.runtime.calibrations.calibration import Accumulate
from teaspec.runtime.calibrations.registry import known_types
from teaspec.runtime.calibrations.thresholds import Preset
from teaspec.runtime.host.groups import is_group
from teaspec.runtime.naming import did_you_mean, nearest
from teaspec.runtime.rules.forecast import Forecast, Kind, forecast_for
from teaspec.runtime.rules.rule import Rule
from teaspec.runtime.rules.steps import Guards
from teaspec.runtime.settings.asked import check_asked, check_threshold, given_of, refuse_several
from teaspec.runtime.settings.fields import find_unknown, names_the_nearest
from teaspec.runtime.settings.values import (
    check,
    check_device,
    check_steps,
    checked_coefficients,
    is_count,
    is_finite_number,
)

if TYPE_CHECKING:
    from torch import nn
    from torch.distributed import ProcessGroup
    from typing_extensions import Self

    from teaspec.runtime.rules.record import Decision


class NotGiven(str):
    """A default that can be told from the same string given by the user.

    It is a plain string to everybody else, and it survives `dataclasses.replace`, copying and pickling.
    """

    __slots__ = ()


class NotGivenNumber(float):
    """The same for a number."""

    __slots__ = ()


NO_THRESHOLD = NotGivenNumber(0.2)
NO_TRANSFORMER_TYPE = NotGiven(DOCUMENTED_TRANSFORMER_TYPE)


@names_the_nearest
@dataclass
class DiffusionCacheConfig:
    """Cache settings of a pipeline; they hold for each of its transformers.

    Attributes:
        rel_l1_thresh: Threshold of the accumulated distance; below it the cached residual is reused. Higher is faster
            and less exact. What works depends on the model: see `preset`.
        coefficients: Five coefficients of the polynomial that rescales the distance, highest degree first. None takes
            those of the variant.
        budget: In place of a threshold, how many steps of a generation are computed: a count, or a fraction of the
            steps that really run. They are placed evenly, and nothing is measured.
        tolerance: In place of a threshold, the relative error of the result that is accepted.
        rule: In place of a threshold, any `teaspec.Rule`.
        preset: In place of a threshold, the published one of the variant whose speed-up is nearest to 1.3 (`quality`),
            1.6 (`balanced`) or 2 (`fast`); the documented default where none is published. `teaspec.enable` takes
            `balanced` where it is given neither.
        accumulate: `signed` adds rescaled distances as they are, `absolute` their magnitude. None takes the variant's
            own.
        variant: Which of the transformer type's calibrations is used: `base`, or the name of a variant. None lets the
            module's config tell; with `coefficients` of your own it means `base`.
        warmup_steps: So many steps of each branch, from the beginning of a generation on, are always computed: a count,
            or a fraction of all steps. None takes the variant's own.
        cooldown_steps: So many steps at the end of a generation are always computed: a count, or a fraction. None
            computes the last step where the number of steps is known.
        start: Steps before this fraction of a generation are always computed.
        end: Steps from this fraction of a generation on are always computed.
        max_consecutive_reuses: After so many reused steps of a branch in a row, one is computed. None sets no limit.
        num_inference_steps: Steps of a generation. `TeaCacheBackend.refresh` and a pipeline that tells it by
            `cache_context` know better. Fractions, `start`, `end` and the steps at the end need the number.
        decide: `branch` has each branch decide for itself; with `any` all branches compute when one does.
        cfg_rank: This process's rank in a CFG group of several, where the transformer has `do_true_cfg`. None takes it
            from `cfg_group`, or finds it in vLLM-Omni and xDiT, and takes calls to alternate where there is no group.
        process_group: The ranks that hold a share of the sequence each: how much has changed is summed over them, so
            that all decide alike. None finds them in diffusers' `enable_parallelism`, vLLM-Omni and xDiT.
        cfg_group: The ranks that hold a CFG branch each. It tells `cfg_rank`, and with `decide="any"` all of its ranks
            compute when one does. None finds it in vLLM-Omni and xDiT, where the transformer has `do_true_cfg`.
        max_sessions: So many sessions are kept; see `teaspec.session`.
        cache_device: Where cached tensors wait, `"cpu"` say; None leaves them where they were made.
        cache_dtype: The dtype in which residuals wait; None leaves them as they are.
        residual_order: 0 adds the last computed residual, as TeaCache was published. 1 follows the line through the
            last two computed ones, for one more residual in memory.
        residual_limit: How far they are followed at most, in distances between the last two computed steps.
        forecast: `last`, `line`, `parabola`, or `blend`, half line and half parabola through the last three, for two
            more residuals in memory. None takes the one of `residual_order`, and under a budget that a plan places
            the one of the plan.
        on_decision: Called as `on_decision(module, decision)` after each call of a transformer that TeaCache decided.
            What it raises is logged, and the generation goes on.

    Raises:
        ValueError: If a value is out of range.
        TypeError: If there is no such setting; the message has the nearest.
    """

    rel_l1_thresh: float = NO_THRESHOLD
    coefficients: list[float] | None = None
    _: KW_ONLY
    budget: int | float | None = None
    tolerance: float | None = None
    rule: Rule | None = None
    preset: Preset | None = None
    accumulate: Accumulate | None = None
    variant: str | None = None
    warmup_steps: int | float | None = None
    cooldown_steps: int | float | None = None
    start: float = 0.0
    end: float = 1.0
    max_consecutive_reuses: int | None = None
    num_inference_steps: int | None = None
    decide: Literal["branch", "any"] = "branch"
    cfg_rank: int | None = None
    process_group: ProcessGroup | None = None
    cfg_group: ProcessGroup | None = None
    max_sessions: int = 32
    cache_device: str | torch.device | None = None
    cache_dtype: torch.dtype | None = None
    residual_order: Literal[0, 1] = 0
    residual_limit: float = 1.0
    forecast: Kind | None = None
    on_decision: Callable[[nn.Module, Decision], None] | None = None

    def __post_init__(self) -> None:
        """Checks the values; a sequence of coefficients becomes a list of floats."""
        check_threshold(self.rel_l1_thresh)
        check_asked(self.rule, self.budget, self.tolerance)
        if self.coefficients is not None:
            self.coefficients = checked_coefficients(self.coefficients)
        known = self.preset is None or self.preset in get_args(Preset)
        check("preset", self.preset, known, f"{', '.join(map(repr, get_args(Preset)))} or None")
        refuse_several(given_of(self))
        known = self.accumulate is None or self.accumulate in get_args(Accumulate)
        check("accumulate", self.accumulate, known, "'signed', 'absolute' or None")
        named = self.variant is None or (isinstance(self.variant, str) and self.variant != "")
        check("variant", self.variant, named, "a name or None")
        check_steps("warmup_steps", self.warmup_steps)
        check_steps("cooldown_steps", self.cooldown_steps)
        check("start", self.start, is_finite_number(self.start) and 0 <= self.start < 1, "a fraction from 0 to below 1")
        after = is_finite_number(self.end) and self.start < self.end <= 1
        check("end", self.end, after, f"a fraction above start ({self.start}) and at most 1")
        for name in ("max_consecutive_reuses", "num_inference_steps"):
            value = getattr(self, name)
            check(name, value, value is None or is_count(value, 1), "an integer of at least 1, or None")
        check("decide", self.decide, self.decide in ("branch", "any"), "'branch' or 'any'")
        check("cfg_rank", self.cfg_rank, self.cfg_rank is None or is_count(self.cfg_rank), "a rank, or None")
        for name in ("process_group", "cfg_group"):
            value = getattr(self, name)
            wanted = "a torch.distributed.ProcessGroup of this process (`mesh.get_group()` of a mesh), or None"
            check(name, value, value is None or is_group(value), wanted)
        check("max_sessions", self.max_sessions, is_count(self.max_sessions, 1), "an integer of at least 1")
        check_device("cache_device", self.cache_device)
        floating = isinstance(self.cache_dtype, torch.dtype) and self.cache_dtype.is_floating_point
        check("cache_dtype", self.cache_dtype, self.cache_dtype is None or floating, "a floating torch dtype, or None")
        order = is_count(self.residual_order) and self.residual_order in (0, 1)
        check("residual_order", self.residual_order, order, "0 or 1")
        limit = is_finite_number(self.residual_limit) and self.residual_limit >= 0
        check("residual_limit", self.residual_limit, limit, "a finite number of at least 0")
        check(
            "forecast",
            self.forecast,
            self.forecast is None or self.forecast in get_args(Kind),
            f"{', '.join(map(repr, get_args(Kind)))} or None",
        )
        if self.forecast is not None and self.residual_order:
            raise ValueError(
                f"forecast={self.forecast!r} and residual_order=1 each say what a reused step adds; give one of them "
                f"(residual_order=1 is forecast='line')"
            )
        called = self.on_decision is None or callable(self.on_decision)
        check("on_decision", self.on_decision, called, "callable, or None")

    @property
    def is_published_rule(self) -> bool:
        """Whether TeaCache's rule decides, as it was published."""
        return self.rule is None and self.budget is None and self.tolerance is None

    @property
    def is_threshold_given(self) -> bool:
        """Whether the caller named the threshold."""
        return not isinstance(self.rel_l1_thresh, NotGivenNumber)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Copies all but the groups: they stand for running processes, and a copy is about the same ones."""
        memo.update({id(group): group for group in (self.process_group, self.cfg_group) if group is not None})
        copied = memo[id(self)] = object.__new__(type(self))
        vars(copied).update(deepcopy(vars(self), memo))
        return copied

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> Self:
        """Returns a config of a mapping.

        Args:
            settings: Values by the names of the fields; what is left out keeps its default.

        Raises:
            ValueError: If a key is unknown or a value is out of range.
        """
        problem = find_unknown(settings, cls)
        if problem is not None:
            raise ValueError(problem)
        return cls(**settings)

    @property
    def guards(self) -> Guards:
        """What is computed in any case."""
        return Guards(self.warmup_steps, self.cooldown_steps, self.start, self.end, self.max_consecutive_reuses)

    @property
    def is_forecast_given(self) -> bool:
        """Whether the user has said what a reused step adds; a plan says it otherwise."""
        return self.forecast is not None or self.residual_order != 0

    @property
    def forecaster(self) -> Forecast:
        """What a reused step adds."""
        return forecast_for(self.forecast, self.residual_order, self.residual_limit)

    def to_teacache_config(self) -> TeaCacheConfig:
        """Returns the config for one transformer, its type left to be found out."""
        return TeaCacheConfig(**{field.name: getattr(self, field.name) for field in fields(DiffusionCacheConfig)})


@names_the_nearest
@dataclass
class TeaCacheConfig(DiffusionCacheConfig):
    """Configuration of TeaCache for one transformer: what `DiffusionCacheConfig` has, and the transformer's type.

    Attributes:
        transformer_type: Class name or registered type of the transformer. Where it is not given it reads as the
            documented default and is found out from the module when the hook is applied.

    Raises:
        ValueError: If a value is out of range.
        KeyError: If nobody knows the given type and there are no coefficients for it.
    """

    transformer_type: str = NO_TRANSFORMER_TYPE

    def __post_init__(self) -> None:
        """Checks the values and the type."""
        super().__post_init__()
        needs_some = self.is_published_rule and self.coefficients is None
        if needs_some and self.is_type_given and self.transformer_type not in known_types():
            raise KeyError(
                f"no coefficients for transformer type {self.transformer_type!r}"
                f"{did_you_mean(self.transformer_type, known_types())} Give `coefficients`, or a known type. "
                f"{nearest(self.transformer_type, known_types())}"
            )

    @property
    def is_type_given(self) -> bool:
        """Whether the caller named the transformer type."""
        return not isinstance(self.transformer_type, NotGiven)
