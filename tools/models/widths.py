"""The inputs of a probe, at the widths of another configuration of its model.

A probe writes widths as numbers: `[batch, text, 12]` where its config says `joint_attention_dim: 12`. With another
config each number may have to become another one. Which, is found by what the numbers are equal to in the probe's own
config, and is right if the model accepts the result: its projections have one width each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from itertools import combinations, cycle, islice, product
from typing import Any

from pydantic import BaseModel

from teaspec.compiler.forms.expression import Binary, Expression, Node, Number
from teaspec.compiler.forms.probe import Probe
from teaspec.compiler.forms.values import ListOf, Mask, Repeat, Tensor

Place = tuple[str, int]
"""An input and the how manieth number of it; or a dim that is always the same, and 0."""

Choose = Callable[[Place, int, bool], int]
"""From a place, the number there and whether the number is a whole size, to the number to put there."""


def adapted(probe: Probe, own: Mapping[str, Any], other: Mapping[str, Any], most: int) -> Iterator[Probe]:
    """Rewrites the numbers in the shapes of a probe's inputs.

    Args:
        probe: The probe; its optional inputs are left out.
        own: What may be a width in the config of the probe's model.
        other: The same of the other model.
        most: How many probes to try of either kind.

    Yields:
        Probes, the likely ones first: those in which equal numbers stay equal, then the others.
    """
    inputs = {name: given for name, given in probe.inputs.items() if not given.optional}
    probe = probe.model_copy(update={"inputs": inputs})
    found: dict[Place, tuple[int, bool]] = {}

    def note(place: Place, value: int, whole: bool) -> int:
        found[place] = (value, whole)
        return value

    _rewritten(probe, note)
    options = {number: _options(*number, own, other) for number in dict.fromkeys(found.values())}
    for chosen in islice(_choices(list(options.values())), most):
        alike = dict(zip(options, chosen, strict=True))
        yield _rewritten(probe, lambda _place, value, whole, alike=alike: alike[value, whole])  # type: ignore[misc]
    for chosen in islice(_choices([options[number] for number in found.values()]), most):
        apart = dict(zip(found, chosen, strict=True))
        yield _rewritten(probe, lambda place, _value, _whole, apart=apart: apart[place])  # type: ignore[misc]


def _choices(options: list[list[int]]) -> Iterator[tuple[int, ...]]:
    """One of each, the choices with the fewest unlikely ones first."""
    for unlikely in range(len(options) + 1):
        for places in combinations(range(len(options)), unlikely):
            for others in product(*(options[place][1:] for place in places)):
                chosen = dict(zip(places, others, strict=True))
                yield tuple(chosen.get(place, likely[0]) for place, likely in enumerate(options))


def _options(value: int, whole: bool, own: Mapping[str, Any], other: Mapping[str, Any]) -> list[int]:
    """What a number may become: what it is equal to in the config, alone, as a product or sum; or what it is.

    A factor of a size, such as the patch size before the rows of patches, most likely stays as it is, and so does the
    length of a list.
    """
    pairs = [pair for key, old in own.items() for pair in _matched(old, other.get(key))]
    single = [new for old, new in pairs if old == value]
    products = [a[1] * b[1] for a, b in combinations(pairs, 2) if a[0] * b[0] == value]
    sums = [a[1] + b[1] for a, b in combinations(pairs, 2) if a[0] + b[0] == value]
    likely = [*single, value] if whole else [value, *single]
    return list(dict.fromkeys([*likely, *(products if whole else ()), *sums]))


def _matched(old: Any, new: Any) -> list[tuple[int, int]]:
    """The integers of a part of a config with those that stand in their place in the other one."""
    if isinstance(old, (list, tuple)) and isinstance(new, (list, tuple)):
        pairs = [pair for items in zip(old, new, strict=False) for pair in _matched(*items)]
        if old and new and all(type(item) is int for item in [*old, *new]):
            pairs.append((sum(old), sum(new)))
        return pairs
    return [(old, new)] if type(old) is int and type(new) is int else []


def _rewritten(probe: Probe, choose: Choose) -> Probe:
    inputs = {}
    for name, given in probe.inputs.items():
        numbers = _Numbers(name, choose)
        inputs[name] = given.model_copy(update={"value": numbers.of_value(given.value)})
    dims = {
        name: (choose((name, 0), low, True),) * 2 if low == high else (low, high)
        for name, (low, high) in probe.dims.items()
    }
    return probe.model_copy(update={"inputs": inputs, "dims": dims})


class _Numbers:
    """Rewrites the numbers of one input."""

    def __init__(self, name: str, choose: Choose) -> None:
        self._name = name
        self._choose = choose
        self._count = 0

    def of_value(self, value: Any) -> Any:
        """The same value of whatever kind, with the sizes in it rewritten; a mask that lets all through."""
        if isinstance(value, Expression):
            return Expression(value.text, self._of_node(value.tree, whole=True))
        if isinstance(value, Mask):  # drawn, it would leave a part of the tokens out
            value = Tensor.model_construct(shape=value.shape, dtype=value.dtype, range=(1, 1), integer=False)
        if isinstance(value, Repeat):
            count = Expression(value.count.text, self._of_node(value.count.tree, whole=False))
            return value.model_copy(update={"count": count, "value": self.of_value(value.value)})
        if isinstance(value, ListOf) and value.items:  # it may hold an item for each block
            length = self._next(len(value.items), whole=False)
            value = value.model_copy(update={"items": tuple(islice(cycle(value.items), length))})
        if isinstance(value, BaseModel):
            return value.model_copy(
                update={name: self.of_value(getattr(value, name)) for name in type(value).model_fields}
            )
        if isinstance(value, tuple):
            return tuple(map(self.of_value, value))
        if isinstance(value, Mapping):
            return {key: self.of_value(item) for key, item in value.items()}
        return value

    def _of_node(self, node: Node, whole: bool) -> Node:
        if isinstance(node, Number):
            return Number(self._next(node.value, whole))
        if isinstance(node, Binary):
            return Binary(node.operator, self._of_node(node.left, False), self._of_node(node.right, False))
        return node

    def _next(self, number: int, whole: bool) -> int:
        self._count += 1
        return self._choose((self._name, self._count), number, whole)
