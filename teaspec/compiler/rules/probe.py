"""What must hold within a probe: every size can be computed, every value can be drawn."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

from teaspec.compiler.forms.document import Document, Path
from teaspec.compiler.forms.expression import Binary, Expression
from teaspec.compiler.forms.probe import Case, Probe
from teaspec.compiler.forms.values import (
    Absent,
    Choice,
    Concat,
    Constant,
    Dim,
    Indices,
    Mask,
    ObjectOf,
    Repeat,
    Tensor,
    Value,
    inner_values,
)
from teaspec.compiler.report import did_you_mean
from teaspec.compiler.rules.extent import check_integer, check_number_of_values, check_numbers, check_settings
from teaspec.compiler.rules.finding import Finding
from teaspec.compiler.rules.locations import locate_in

_LIMITS = {
    "bool": (0, 1),
    "int8": (-(2**7), 2**7 - 1),
    "uint8": (0, 2**8 - 1),
    "int16": (-(2**15), 2**15 - 1),
    "int32": (-(2**31), 2**31 - 1),
    "int64": (-(2**63), 2**63 - 1),
}
_MAX_VARIED_DIMS = 6


def check_probe(probe: Probe, document: Document) -> Iterator[Finding]:
    """Finds what cannot be drawn.

    Args:
        probe: The form.
        document: What it was read from.
    """
    too_large = [*check_number_of_values(probe)]
    yield from too_large
    if too_large:
        return
    yield from check_settings(probe.config, ("probe", "config"))
    for index, case in enumerate(probe.cases):
        yield from check_settings(case.config, ("probe", "cases", index, "config"))
    for name, given in probe.inputs.items():
        yield from _Checker(probe.dims, document).check(("probe", "inputs", name), given.value)
    of_base = [*check_numbers(probe.merged(None), ("probe",))]
    yield from of_base
    for index, case in enumerate(probe.cases):
        path = ("probe", "cases", index)
        yield from _check_case(probe, case, path, document)
        if not of_base:
            yield from check_numbers(probe.merged(case), path)
    tried = {name for merged in probe.alternatives for name in merged.inputs}
    for name in probe.untried:
        if name in tried:
            message = f"`{name}` is said to be untried, but the probe has an input of that name"
            yield Finding(("probe", "untried", name), "tried-after-all", message, at_key=True)


def _check_case(probe: Probe, case: Case, path: Path, document: Document) -> Iterator[Finding]:
    if not (case.config or case.dims or case.inputs or case.dtype):
        yield Finding(path, "empty-case", "this case changes nothing", help=("the base alone is always drawn, too",))
    merged = probe.merged(case)
    checker = _Checker(merged.dims, document)
    for name, given in case.inputs.items():
        where = (*path, "inputs", name)
        if not isinstance(given.value, Absent):
            yield from checker.check(where, given.value)
        elif name not in probe.inputs:
            message = f"`{name}` is absent anyway: the probe has no such input"
            yield Finding(where, "misplaced-absent", message, help=did_you_mean(name, probe.inputs), at_key=True)
    if case.dims:
        yield from _check_inherited(probe, case, merged, path, checker)


def _check_inherited(probe: Probe, case: Case, merged: Probe, path: Path, checker: _Checker) -> Iterator[Finding]:
    """Finds inputs of the base that are fine with the base's dims and not with the case's."""
    base = _Checker(probe.dims, checker.document)
    for name, given in merged.inputs.items():
        where = ("probe", "inputs", name)
        finding = next(checker.check(where, given.value), None) if name not in case.inputs else None
        if finding is not None and not any(base.check(where, given.value)):
            message = f"with the dims of this case, input `{name}` cannot be drawn: {finding.message}"
            yield Finding((*path, "dims"), finding.code, message, help=finding.help)


class _Checker:
    def __init__(self, dims: Mapping[str, tuple[int, int]], document: Document) -> None:
        self.document = document
        self._dims = dims

    def check(self, path: Path, value: Value) -> Iterator[Finding]:
        if isinstance(value, Tensor):
            yield from self._shape((*path, "tensor"), value.shape)
            yield from _range(path, value)
        elif isinstance(value, Mask):
            if not value.shape:
                yield Finding((*path, "mask"), "empty-list", "a mask has at least one dimension, found an empty list")
            yield from self._shape((*path, "mask"), value.shape[:-1])
            for size in value.shape[-1:]:
                yield from self._size((*path, "mask", len(value.shape) - 1), size, smallest=1)
        elif isinstance(value, Indices):
            yield from self._indices(path, value)
        elif isinstance(value, Concat):
            yield from self._concat((*path, "concat"), value)
        elif isinstance(value, Dim):
            yield from self._size((*path, "dim"), value.size, smallest=None)
            yield from check_integer(value.size, self._dims, (*path, "dim"))
        elif isinstance(value, Choice):
            if not value.options:
                yield Finding((*path, "choice"), "empty-list", "expected at least one option, found an empty list")
        elif isinstance(value, Repeat):
            yield from self._size((*path, "repeat"), value.count)
        elif isinstance(value, Constant):
            yield from self._constant(path, value)
        elif isinstance(value, ObjectOf):
            told = {name: item.value for name, item in value.arguments.items() if isinstance(item, Constant)}
            yield from check_settings(told, (*path, "with"))
        elif isinstance(value, Absent):
            help_line = "only a case can leave out an input: `cases: [{inputs: {name: {absent: true}}}]`"
            yield Finding(path, "misplaced-absent", "`absent` has nothing to leave out here", help=(help_line,))
        for step, item in inner_values(value):
            yield from self.check((*path, *step), item)

    def _indices(self, path: Path, value: Indices) -> Iterator[Finding]:
        sizes = {"indices": value.count, "below": value.below, "from": value.start}
        for key, size in sizes.items():
            yield from self._size((*path, key), size)
        if not any(finding for size in sizes.values() for finding in self._size(path, size)):
            there = value.below if str(value.start) == "0" else _minus(value.below, value.start)
            yield from self._size((*path, "below"), _minus(there, value.count))

    def _concat(self, path: Path, value: Concat) -> Iterator[Finding]:
        if not value.parts:
            yield Finding(path, "empty-list", "expected at least one tensor, found an empty list")
        for index, part in enumerate(value.parts):
            if not isinstance(part, Tensor | Mask | Indices | Concat | Absent):
                yield Finding((*path, index), "wrong-value", "expected a tensor, which can be joined to others")

    def _shape(self, path: Path, shape: tuple[Expression, ...]) -> Iterator[Finding]:
        for index, size in enumerate(shape):
            yield from self._size((*path, index), size)

    def _size(self, path: Path, size: Expression, smallest: int | None = 0) -> Iterator[Finding]:
        unknown = [name for name in size.names if name not in self._dims]
        for name in unknown:
            known = ", ".join(f"`{dim}`" for dim in self._dims)
            help_lines = did_you_mean(name, self._dims) or ((f"known dims: {known}",) if known else ())
            yield Finding(path, "unknown-dim", f"the probe has no dim `{name}`", help=help_lines)
        if not unknown:
            yield from self._impossible(path, size, smallest)

    def _impossible(self, path: Path, size: Expression, smallest: int | None) -> Iterator[Finding]:
        """Tries the corners of the ranges: what goes wrong there certainly can go wrong."""
        names = size.names
        ends = [self._dims[name] if i < _MAX_VARIED_DIMS else self._dims[name][:1] for i, name in enumerate(names)]
        for corner in itertools.product(*(dict.fromkeys(end) for end in ends)):
            example = ", ".join(f"{name} = {value}" for name, value in zip(names, corner, strict=True))
            where = f" where {example}" if example else ""
            try:
                result = size.evaluate(dict(zip(names, corner, strict=True)))
            except ZeroDivisionError:
                yield Finding(path, "impossible-size", f"`{size}` divides by zero{where}")
                return
            if smallest is not None and result < smallest:
                needed = "a size is not negative" if smallest == 0 else f"at least {smallest} is needed"
                yield Finding(path, "impossible-size", f"`{size}` is {result}{where}, but {needed}")
                return

    def _constant(self, path: Path, value: Constant) -> Iterator[Finding]:
        text = value.value
        if isinstance(text, str) and text in self._dims and "literal" not in self._written(path):
            message = f"`{text}` stands for itself here, not for the dim of that name"
            help_lines = (f"write `{{dim: {text}}}` for the dim", f"write `{{literal: {text}}}` for the text")
            yield Finding(path, "literal-names-a-dim", message, help=help_lines)

    def _written(self, path: Path) -> Mapping[str, object]:
        """Returns the mapping that stands at a path of the document, or an empty one where a short form does."""
        value: object = self.document.data
        for step in locate_in(self.document, path).path:
            value = value[step]  # type: ignore[index]
        return value if isinstance(value, dict) else {}


def _minus(left: Expression, right: Expression) -> Expression:
    return Expression(f"{left} - ({right})", Binary("-", left.tree, right.tree))


def _range(path: Path, tensor: Tensor) -> Iterator[Finding]:
    limits = _LIMITS.get(tensor.dtype)
    is_whole = limits is not None or tensor.integer
    if tensor.dtype == "complex64" and tensor.range is not None:
        yield Finding((*path, "range"), "bad-range", "a tensor of complex numbers has no range")
    elif tensor.range is None:
        if is_whole and tensor.dtype != "bool":
            message = "a tensor of integers needs a range"
            yield Finding(path, "missing-range", message, help=("add `range: [lowest, highest]`",))
    elif is_whole and not all(end.is_integer() for end in tensor.range):
        yield Finding((*path, "range"), "bad-range", "the range of integers begins and ends with integers")
    elif limits is not None and not limits[0] <= tensor.range[0] <= tensor.range[1] <= limits[1]:
        message = f"the range goes beyond `{tensor.dtype}`, which holds {limits[0]} to {limits[1]}"
        yield Finding((*path, "range"), "bad-range", message)
