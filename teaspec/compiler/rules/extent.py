"""How much a probe draws: nothing that a spec says may fill the memory, or take long to be checked."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

from teaspec.compiler.forms.document import Path
from teaspec.compiler.forms.expression import Expression
from teaspec.compiler.forms.probe import Input, Probe
from teaspec.compiler.forms.values import Constant, Indices, Mask, ObjectOf, Repeat, Tensor, Value, inner_values
from teaspec.compiler.rules.finding import Finding

MAX_VALUES = 4096
"""Of all cases together, each with the inputs that it takes from the base. Shipped specs have up to some hundred."""

MAX_NUMBERS = 2**22
"""In the arguments of one call; and the largest integer that depends on dims."""

MAX_SETTING = 2**17
"""In a config, and in what an object is made with. Shipped configs have up to 2,511."""

_HELP = "the instance is a tiny one: give its dims small ranges"

Dims = Mapping[str, tuple[int, int]]


def check_number_of_values(probe: Probe) -> Iterator[Finding]:
    """Finds a probe of which too much would have to be checked.

    Args:
        probe: The form.
    """
    base = _values(probe.inputs)
    total = base + sum(base + _values(case.inputs) for case in probe.cases)
    if total > MAX_VALUES:
        message = f"the probe has {total} values and sizes over all its cases; expected at most {MAX_VALUES}"
        yield Finding(("probe",), "probe-too-large", message, at_key=True)


def check_numbers(probe: Probe, path: Path) -> Iterator[Finding]:
    """Finds alternatives of which the arguments of a single call could be too large.

    Args:
        probe: An alternative of the probe.
        path: Where its inputs stand: the probe, or one of its cases.
    """
    counts = {name: _numbers(given.value, probe.dims) for name, given in probe.inputs.items()}
    total = sum(counts.values())
    if total > MAX_NUMBERS:
        largest = max(counts, key=lambda name: counts[name])
        message = (
            f"a call of this probe can take {_shown(total)} numbers, most of them in `{largest}`; expected at most"
        )
        where = (*path, "inputs", largest)
        yield Finding(where, "probe-too-large", f"{message} {_shown(MAX_NUMBERS)}", help=(_HELP,), at_key=True)


def check_integer(size: Expression, dims: Dims, path: Path) -> Iterator[Finding]:
    """Finds an integer that a model could take for the size of something large.

    Args:
        size: The expression.
        dims: What it depends on.
        path: Where it stands.
    """
    largest = _largest(size, dims)
    if largest > MAX_NUMBERS:
        message = f"this integer can be as large as {_shown(largest)}; expected at most {_shown(MAX_NUMBERS)}"
        yield Finding(path, "probe-too-large", message, help=(_HELP,))


def check_settings(settings: object, path: Path) -> Iterator[Finding]:
    """Finds integers by which a constructor would make too much: layers, widths, tables.

    Args:
        settings: A plain value: a config, or what an object is made with.
        path: Where it stands.
    """
    if isinstance(settings, Mapping):
        for key, item in settings.items():
            yield from check_settings(item, (*path, key))
    elif isinstance(settings, list | tuple):
        for index, item in enumerate(settings):
            yield from check_settings(item, (*path, index))
    elif type(settings) is int and abs(settings) > MAX_SETTING:
        message = f"a constructor is told {_shown(settings)}; expected at most {_shown(MAX_SETTING)}"
        yield Finding(path, "probe-too-large", message, help=("the instance is a tiny one",))


def _values(inputs: Mapping[str, Input]) -> int:
    return sum(_parts(given.value) for given in inputs.values())


def _parts(value: Value) -> int:
    sizes = len(value.shape) if isinstance(value, Tensor | Mask) else 0
    return 1 + sizes + sum(_parts(item) for _, item in inner_values(value))


def _numbers(value: Value, dims: Dims) -> int:
    """An upper bound of how many numbers a value holds."""
    inner = sum(_numbers(item, dims) for _, item in inner_values(value))
    if isinstance(value, Repeat):
        return _largest(value.count, dims) * inner
    if isinstance(value, Tensor | Mask):
        return math.prod(_largest(size, dims) for size in value.shape)
    if isinstance(value, Indices):
        return _largest(value.below, dims)
    if isinstance(value, ObjectOf):  # what it is told may be how many things it makes
        told = (item.value for item in value.arguments.values() if isinstance(item, Constant))
        inner += sum(abs(one) for one in told if type(one) is int)
    return 1 + inner


def _largest(size: Expression, dims: Dims) -> int:
    """The largest absolute value, or 0 where a dim is missing, which another rule says."""
    if any(name not in dims for name in size.names):
        return 0
    return max(map(abs, size.bounds(dims)))


def _shown(number: int) -> str:
    return f"{number:,}".replace(",", " ") if number < 10**15 else f"more than 10^{len(str(number)) - 1}"
