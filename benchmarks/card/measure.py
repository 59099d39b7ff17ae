"""Measures all ways of one transformer in turn, eager or with its blocks compiled."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

import torch
from hooked.spread import Spread
from hooked.subject import operations_of, undisturbed

from card.clock import allocated, idle_share, seconds
from card.models import Built
from card.ways import RECIPES, Recipe, Way

LEAST = 3
"""Rounds that are measured whatever they take."""

PROFILED = 4
"""Steps in a row whose kernels are looked at."""


@dataclass(frozen=True)
class Row:
    """What one way costs.

    Attributes:
        way: Its name.
        operations: Floating point operations of a step of it.
        seconds: A step.
        idle: Share of the time in which the device had nothing to do, None where nobody can tell.
        held: Bytes that the cache holds, None where nobody can tell.
    """

    way: str
    operations: int
    seconds: Spread
    idle: float | None
    held: int | None


@dataclass
class Table:
    """What all ways of one transformer cost.

    Attributes:
        rows: Those that ran.
        failures: What went wrong with the others, by name.
    """

    rows: list[Row] = field(default_factory=list)
    failures: dict[str, str] = field(default_factory=dict)


@torch.no_grad()
def measure(
    built: Built,
    device: torch.device,
    budget: float,
    compile_blocks: Callable[[Any], Any] | None = None,
    recipes: tuple[Recipe, ...] = RECIPES,
) -> Table:
    """Times every way to cache one transformer, round by round in turn, until the budget is spent.

    Args:
        built: The transformer.
        device: Where it is.
        budget: Seconds for all of it, setting up included; at least `LEAST` rounds are run.
        compile_blocks: Compiles the blocks of a module; None runs them eagerly.
        recipes: The ways.
    """
    table, until = Table(), perf_counter() + budget
    ready: list[tuple[Way, int, int | None]] = []
    for recipe in recipes:
        try:
            ready.append(_set_up(recipe, built, device, compile_blocks))
        except Exception as error:  # another cache may not fit this model, and the others are measured all the same
            table.failures[recipe.name] = f"{type(error).__name__}: {error}".partition("\n")[0]
    ways = [way for way, _, _ in ready]
    samples = _rounds(ways, built, device, until)
    for way, operations, held in ready:
        idle = idle_share(lambda way=way: _in_a_row(way, built), device)
        table.rows.append(Row(way.name, operations, Spread.of(samples[way.name]), idle, held))
    return table


def _set_up(
    recipe: Recipe, built: Built, device: torch.device, compile_blocks: Callable[[Any], Any] | None
) -> tuple[Way, int, int | None]:
    before = allocated(device)
    way = recipe.make(built)
    for call in built.calls[:2]:
        way.run(**call)
    operations = operations_of(way.run, built.calls[2])  # what is called a reused step has to be one
    after = allocated(device)
    held = way.bytes_held if before is None or after is None else after - before
    if compile_blocks is not None:
        compile_blocks(way.module)
        for call in built.calls[:3]:
            way.run(**call)
    return way, operations, held


def _rounds(ways: list[Way], built: Built, device: torch.device, until: float) -> dict[str, list[float]]:
    order = random.Random(0)
    samples: dict[str, list[float]] = {way.name: [] for way in ways}
    number = 0
    with undisturbed():
        while number < LEAST or perf_counter() < until:
            step = 1 + number % (len(built.calls) - 1)
            if step == 1:
                for way in ways:
                    way.run(**built.calls[0])  # the first step of a generation is always computed
            for way in order.sample(ways, len(ways)):
                samples[way.name].append(seconds(lambda way=way, step=step: way.run(**built.calls[step]), device))
            number += 1
    return samples


def _in_a_row(way: Way, built: Built) -> None:
    for call in built.calls[: 1 + PROFILED]:
        way.run(**call)
