"""Landmark 3: which of the loops in a forward are its block loops."""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn

_SHARE = 0.1
"""Refiners and adapters hold a few per cent of the parameters of the blocks that they prepare; joint blocks more."""

_CONTAINERS = (nn.ModuleList, nn.ModuleDict, nn.Sequential)


def rank_loops(module: nn.Module, iterated: list[str]) -> Iterator[tuple[str, ...]]:
    """Choices of block lists, the likeliest first.

    Args:
        module: An instance of the model.
        iterated: The paths that the forward iterates, in its order.
    """
    weights = {path: weight for path in iterated if (weight := _weight(module, path))}
    if not weights:
        return
    largest = max(weights.values())
    main = tuple(path for path, weight in weights.items() if weight >= _SHARE * largest)
    heaviest = max(weights, key=lambda path: weights[path])
    seen: set[tuple[str, ...]] = set()
    for choice in (main, (heaviest,), tuple(weights)):
        if choice not in seen:
            seen.add(choice)
            yield choice


def first_block(module: nn.Module, loop: str, *, backwards: bool = False) -> tuple[str, nn.Module]:
    """The block of a list that runs first, with its index or key: the last of it where it is run backwards."""
    blocks = list(module.get_submodule(loop).named_children())
    return blocks[-1 if backwards else 0]


def are_enough(module: nn.Module, larger: nn.Module, loops: tuple[str, ...]) -> bool:
    """Whether each list has two blocks, where it has as many in a larger one: one alone hands nothing on."""

    def count(one: nn.Module, loop: str) -> int:
        found = dict(one.named_modules()).get(loop)
        return 0 if found is None else sum(1 for _ in found.children())

    return all(count(module, loop) >= min(2, count(larger, loop)) for loop in loops)


def _weight(module: nn.Module, path: str) -> int:
    """How many parameters the blocks of a list hold; 0 for what is no list of blocks."""
    try:
        found = module.get_submodule(path)
    except AttributeError:
        return 0
    if not isinstance(found, _CONTAINERS):
        return 0
    blocks = list(found.children())
    # a block is made of parts; a list of plain layers is something else
    if not blocks or not all(any(True for _ in block.children()) for block in blocks):
        return 0
    if any(isinstance(block, _CONTAINERS) for block in blocks):
        return 0
    return sum(parameter.numel() for block in blocks for parameter in block.parameters())
