"""Floating point operations of a reused step and of a full one, at a class's default config.

The model is as its constructor makes it without arguments. What the default constructor leaves open (None) is taken
from the probe; where the class does not run in its default mode, so are texts and truth values. The inputs are those of
the probe with other widths, or those that sizes.yaml states.

It runs on the meta device with inputs of a usual size. Forwards that look at values, or take an item for each block,
run on the CPU, with smaller inputs and without working out any product.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any, TypeVar

from torch import nn

from teaspec.compiler import load_spec
from teaspec.compiler.forms.probe import Probe
from teaspec.compiler.forms.spec import Spec
from teaspec.compiler.passes.import_model import import_model
from teaspec.models.facts import Cost
from tools.models.build import blocks_of, layer_keys, on_cpu, on_meta
from tools.models.sizes import stated_probe
from tools.models.steps import Dims, UncountableError, count, forward
from tools.models.widths import adapted

LARGE: Dims = {
    **{"batch": 1, "text": 256, "frames": 13, "rows": 64, "columns": 64, "height": 64, "width": 64},
    **{"image": 4096, "tokens": 4096, "patches": 4096, "video": 4096, "audio": 256},
}
"""By the names that dims have in the specs; a dim of another name is as large as the probe lets it be."""

SMALL: Dims = {
    **{"batch": 1, "text": 16, "frames": 2, "rows": 16, "columns": 16, "height": 16, "width": 16},
    **{"image": 256, "tokens": 256, "patches": 256, "video": 256, "audio": 16},
}

_LITTLE: Dims = {"batch": 1}
_SIZES = (LARGE, SMALL, _LITTLE)
_MOST = 1000

Build = Callable[[type[nn.Module], Mapping[str, Any]], nn.Module]

T = TypeVar("T")
R = TypeVar("R")


@dataclass(frozen=True)
class Setting:
    """A way to build a class.

    Attributes:
        model_class: The class.
        probe: The alternative of the probe whose inputs it gets.
        own: The whole config of the probe's model, what decides how many blocks there are last; empty where the probe's
            inputs fit as they are.
        config: Keyword arguments of the constructor.
        kept: The arguments that decide how many blocks there are, with few blocks.
    """

    model_class: type[nn.Module]
    probe: Probe
    own: Mapping[str, Any]
    config: Mapping[str, Any]
    kept: Mapping[str, int]


def measure(path: Path) -> Cost | None:
    """Counts the operations of a full and of a reused step at the model's default size.

    Args:
        path: A spec with a probe.

    Returns:
        The cost; None where PyTorch does not count the operations.

    Raises:
        RuntimeError: The class does not run at its default config, or its inputs there could not be derived.
    """
    spec = load_spec(path)
    stated = stated_probe(path)
    settings = [_stated(spec, stated)] if stated else list(_derived(spec))
    failures: list[str] = []
    for (build, sizes), few, setting in product(((on_meta, _SIZES), (on_cpu, _SIZES[1:])), (True, False), settings):
        try:
            return _cost(spec, setting, build, sizes, few)
        except UncountableError:
            return None
        except Exception as error:
            failures.append(f"{build.__name__}: {type(error).__name__}: {error}")
    raise RuntimeError("\n".join(failures))


def _cost(spec: Spec, setting: Setting, build: Build, sizes: tuple[Dims, ...], few: bool) -> Cost:
    module = build(setting.model_class, setting.config)
    probe = setting.probe
    if setting.own:
        # few blocks tell the widths in a fraction of the time, but not how many items there are for each
        trial = build(setting.model_class, {**setting.config, **setting.kept}) if few else module
        probe = _fitting(trial, setting)
    full, reused, dims = _counted(spec, module, probe, sizes)
    return Cost(full, reused, dims, blocks_of(spec, module))


def _stated(spec: Spec, probe: Probe) -> Setting:
    return Setting(import_model(spec), probe, {}, probe.config, {})


def _derived(spec: Spec) -> Iterator[Setting]:
    """The ways to get inputs of a usual size from the probe."""
    model_class = import_model(spec)
    signature = inspect.signature(model_class.__init__).parameters
    defaults = {name: parameter.default for name, parameter in signature.items()}
    for probe, modes in product(spec.probe.alternatives, (False, True)):
        few = layer_keys(spec, model_class, probe.config)
        kept = {key: value for key, value in few.items() if type(defaults.get(key)) is int}
        whole: Any = on_meta(model_class, probe.config)
        own = {key: value for key, value in whole.config.items() if key not in kept}
        config = {
            key: value
            for key, value in probe.config.items()
            if defaults.get(key) in (None, inspect.Parameter.empty) or (modes and isinstance(value, (str, bool)))
        }
        yield Setting(model_class, probe, {**own, **kept}, config, kept)


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
    looks_at_values = any(words in str(error) for words in ("meta tensor", "on meta device", "unsupported scalarType"))
    return isinstance(error, (RuntimeError, ValueError, IndexError, AssertionError)) and not looks_at_values


def _dims(probe: Probe, sizes: Dims) -> Dims:
    return {name: high if low == high else sizes.get(name, high) for name, (low, high) in probe.dims.items()}
