"""Floating point operations of a reused step and of a full one, at a class's default config.

The ways, the best first; the first that the class goes is taken.

* `default`: the model as its constructor makes it without arguments, on the meta device, with inputs of a usual size.
* `layers`: the same widths on the CPU, for forwards that look at values or take an item for each block; fewer blocks
  and smaller inputs, and the operations of one block of each loop times the blocks left out added.
* `probe`: the probe's own widths and inputs; the blocks added likewise.
* `tiny`: the probe as it stands, for models that go together in no other size.

What the default constructor leaves open (None) is taken from the probe; where the class does not run in its default
mode, so are texts and truth values.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal, TypeVar

from torch import nn

from teaspec.compiler.forms.probe import Probe
from teaspec.compiler.forms.spec import Spec
from teaspec.compiler.passes.import_model import import_model
from teaspec.models.facts import Cost
from tools.models.build import blocks_of, layer_keys, on_cpu, on_meta
from tools.models.steps import Dims, UncountableError, count, forward
from tools.models.widths import adapted

LARGE: Dims = {
    **{"batch": 1, "text": 256, "frames": 13, "rows": 64, "columns": 64, "height": 64, "width": 64},
    **{"image": 4096, "tokens": 4096, "patches": 4096},
}
"""By the names that dims have in the specs; a dim of another name is as large as the probe lets it be."""

SMALL: Dims = {
    **{"batch": 1, "text": 16, "frames": 2, "rows": 16, "columns": 16, "height": 16, "width": 16},
    **{"image": 256, "tokens": 256, "patches": 256},
}

_LITTLE: Dims = {"batch": 1}
_SIZES = (LARGE, SMALL, _LITTLE)
_MOST = 1000

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Setting:
    """A way to build a class.

    Attributes:
        model_class: The class.
        probe: The alternative of the probe whose inputs it gets.
        own: The whole config of the probe's model, what decides how many blocks there are last.
        config: Keyword arguments of the constructor.
        kept: The arguments that decide how many blocks there are, with few blocks.
        wanted: The same, as the class has them by default.
    """

    model_class: type[nn.Module]
    probe: Probe
    own: Mapping[str, Any]
    config: Mapping[str, Any]
    kept: Mapping[str, int]
    wanted: Mapping[str, int]


def measure(spec: Spec) -> Cost | None:
    """Counts the operations.

    Args:
        spec: A spec with a probe.

    Returns:
        The cost; None where PyTorch does not count the operations.

    Raises:
        RuntimeError: No way leads to a number.
    """
    settings: list[Setting] = []
    for probe, modes in product(spec.probe.alternatives, (False, True)):
        setting = _setting(spec, probe, modes)
        if setting not in settings:
            settings.append(setting)
    failures: list[str] = []
    for way in (_default, _layers, _probe, _tiny):
        for setting in settings:
            try:
                return way(spec, setting)
            except UncountableError:
                return None
            except Exception as error:
                failures.append(f"{way.__name__}: {type(error).__name__}: {error}")
    raise RuntimeError("\n".join(failures))


def _setting(spec: Spec, probe: Probe, modes: bool) -> Setting:
    model_class = import_model(spec)
    signature = inspect.signature(model_class.__init__).parameters
    defaults = {name: parameter.default for name, parameter in signature.items()}
    few = layer_keys(spec, model_class, probe.config)
    wanted = {key: defaults[key] for key in few if type(defaults.get(key)) is int}
    kept = {key: few[key] for key in wanted}
    whole: Any = on_meta(model_class, probe.config)
    own = {key: value for key, value in whole.config.items() if key not in kept}
    config = {
        key: value
        for key, value in probe.config.items()
        if defaults.get(key) in (None, inspect.Parameter.empty) or (modes and isinstance(value, (str, bool)))
    }
    return Setting(model_class, probe, {**own, **kept}, config, kept, wanted)


def _default(spec: Spec, setting: Setting) -> Cost:
    module = on_meta(setting.model_class, setting.config)
    # few blocks tell the widths in a fraction of the time
    fitting = _fitting(on_meta(setting.model_class, {**setting.config, **setting.kept}), setting)
    full, reused, dims = _counted(spec, module, fitting, _SIZES)
    return Cost("default", full, reused, dims, blocks_of(spec, module))


def _layers(spec: Spec, setting: Setting) -> Cost:
    return _extrapolated("layers", spec, setting, setting.config, _SIZES[1:])


def _probe(spec: Spec, setting: Setting) -> Cost:
    return _extrapolated("probe", spec, setting, setting.probe.config, _SIZES[2:])


def _tiny(spec: Spec, setting: Setting) -> Cost:
    module = on_cpu(setting.model_class, setting.probe.config)
    full, reused, dims = _counted(spec, module, setting.probe, _SIZES[2:])
    return Cost("tiny", full, reused, dims, blocks_of(spec, module))


def _extrapolated(
    way: Literal["layers", "probe"], spec: Spec, setting: Setting, config: Mapping[str, Any], sizes: tuple[Dims, ...]
) -> Cost:
    """Adds the blocks that were left out; all blocks of a loop are taken to cost the same."""

    def counted(key: str, more: int, sizes: tuple[Dims, ...]) -> tuple[int, int, Dims]:
        layers = {other: value + more * (other == key) for other, value in setting.kept.items()}
        module = on_cpu(setting.model_class, {**config, **layers})
        return _counted(spec, module, _fitting(module, setting), sizes)

    def of_one(key: str, more: int) -> tuple[float, float]:
        more_full, more_reused, _ = counted(key, more, (dims,))
        return (more_full - few_full) / more, (more_reused - few_reused) / more

    few_full, few_reused, dims = counted("", 0, sizes)
    full, reused = float(few_full), float(few_reused)
    for key, kept in setting.kept.items():
        # some models only go together with an even number of blocks
        of_full, of_reused = _first((1, 2), lambda more, key=key: of_one(key, more))  # type: ignore[misc]
        full += (setting.wanted[key] - kept) * of_full
        reused += (setting.wanted[key] - kept) * of_reused
    blocks = blocks_of(spec, on_meta(setting.model_class, {**config, **setting.wanted}))
    return Cost(way, round(full), round(reused), dims, blocks)


def _fitting(module: Any, setting: Setting) -> Probe:
    """The probe with the widths that the module takes."""

    def called(tried: Probe) -> Probe:
        forward(module, tried, _dims(tried, _LITTLE))
        return tried

    return _first(adapted(setting.probe, setting.own, module.config, _MOST), called)


def _counted(spec: Spec, module: nn.Module, probe: Probe, sizes: tuple[Dims, ...]) -> tuple[int, int, Dims]:
    """Operations of a full and of a reused step, with the first dims that the module takes."""

    def counted(dims: Dims) -> tuple[int, int, Dims]:
        return *count(spec, module, probe, dims), dims

    return _first((_dims(probe, size) for size in sizes), counted)


def _first(tries: Iterable[T], result_of: Callable[[T], R]) -> R:
    """The first result that there is."""
    first: Exception | None = None
    for tried in tries:
        try:
            return result_of(tried)
        except Exception as error:
            first = first or error
            if not _is_about_shapes(error):
                raise  # nothing else will help
    raise first or RuntimeError("nothing to try")


def _is_about_shapes(error: Exception) -> bool:
    """Whether other shapes may do: not where the forward looks at values that the meta device has not."""
    looks_at_values = "meta tensor" in str(error) or "unsupported scalarType" in str(error)
    return isinstance(error, (RuntimeError, ValueError, IndexError, AssertionError)) and not looks_at_values


def _dims(probe: Probe, sizes: Dims) -> Dims:
    return {name: high if low == high else sizes.get(name, high) for name, (low, high) in probe.dims.items()}
