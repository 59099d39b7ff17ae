"""What the processes of a group do: generations on a stream that they share, and branches that they share out."""

from __future__ import annotations

import copy
import random
import sys
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

import torch
import torch.distributed as dist

import teaspec
from teaspec import CacheContext, Finished, TeaCacheConfig
from teaspec.runtime.generation import moments
from teaspec.runtime.generation.timeline import PAIR
from teaspec.runtime.host.groups import HOMES, cfg_rank
from teaspec.runtime.pipeline.apply import find_teacache_hook
from teaspec.runtime.step.ranks import Ranks
from tests.runtime.driving import choices, hooked
from tests.runtime.models import WIDTH, SingleStream, SingleStreamExtractor

TRAJECTORIES = 100
STEPS = 9
THRESHOLD = 0.3
EVENTS = ("bypass", "finish", "nan", "shape")


class Mixing(SingleStream):
    """Its blocks look at all tokens, as attention does, so they wait for the ranks that have the others."""

    def __init__(self, group: Any = None) -> None:
        super().__init__()
        self.group = group
        self.fails = False

    def mixed(self, hidden: torch.Tensor) -> torch.Tensor:
        total = torch.stack([hidden.sum(), torch.tensor(float(hidden.numel()))])
        if self.group is not None:
            dist.all_reduce(total, group=self.group)
        if self.fails:
            raise RuntimeError("a fault in the blocks")
        return hidden + torch.tanh(total[0] / total[1])

    def forward(
        self,
        hidden_states: torch.Tensor,
        signal: torch.Tensor,
        timestep: Any = None,
        finish: bool = False,
        record: list[str] | None = None,
    ) -> torch.Tensor:
        if finish:
            return hidden_states
        hidden = self.embed(hidden_states)
        for block in self.blocks:
            hidden = self.mixed(block(hidden, torch.tensor(0.5)))
        return self.head(hidden)


def extract_mixing(
    module: Mixing, hidden_states: torch.Tensor, signal: torch.Tensor, timestep: Any = None, finish: bool = False
) -> CacheContext | Finished:
    if finish:
        return Finished(hidden_states)
    entry = module.embed(hidden_states)

    def run_transformer_blocks() -> tuple[torch.Tensor, ...]:
        hidden = entry
        for block in module.blocks:
            hidden = module.mixed(block(hidden, torch.tensor(0.5)))
        return (hidden,)

    return CacheContext(signal, entry, None, entry[:, 0], run_transformer_blocks, module.head)


class MixingExtractor(SingleStreamExtractor):
    """Has a rule for calls that run past the cache."""

    def __call__(self, module: Any, *args: Any, **kwargs: Any) -> CacheContext | Finished:
        return extract_mixing(module, *args, **kwargs)


@dataclass
class Trajectory:
    """The calls of some generations: what decides, for the whole sequence."""

    timesteps: list[torch.Tensor]
    signals: list[torch.Tensor]
    images: list[torch.Tensor]
    bounds: list[int]
    named: bool
    late: bool

    @classmethod
    def draw(cls, seed: int, size: int) -> Trajectory:
        """Each part of the sequence moves at its own pace, and things happen to some parts only."""
        generator = torch.Generator().manual_seed(seed)
        rng = random.Random(seed)
        tokens = rng.randint(2 * size, 20)
        paces = torch.rand(1, tokens, 1, generator=generator).square() * rng.choice([0.1, 0.3, 0.6])
        level = 1 + torch.rand(1, tokens, WIDTH, generator=generator)
        signals = []
        for _ in range(STEPS):
            level = level * (1 + paces * torch.rand(1, tokens, WIDTH, generator=generator))
            signals.append(level)
        if rng.random() < 0.2:
            step, token = rng.randrange(1, STEPS), rng.randrange(tokens)
            signals[step] = signals[step].clone()
            signals[step][0, token] = float("nan")
        times = [float(STEPS - step) for step in range(STEPS)]
        if rng.random() < 0.3:  # given up, and begun anew without a word
            back = rng.randrange(2, STEPS)
            times[back:] = times[: STEPS - back]
        images = [torch.randn(1, tokens, WIDTH, generator=generator) for _ in range(STEPS)]
        bounds = [0, *sorted(rng.sample(range(1, tokens), size - 1)), tokens]
        if rng.random() < 0.4:  # another size, which the share of the first rank does not show
            step = rng.randrange(2, STEPS)
            for values in (signals, images):
                values[step:] = [torch.cat([value, value[:, -1:]], dim=1) for value in values[step:]]
        timesteps = [torch.full(signal.shape[:2], time) for signal, time in zip(signals, times, strict=True)]
        named = seed % 2 == 1
        for timestep in timesteps if named else ():
            timestep[:, : bounds[1]] = 0.0  # as for a first frame that is given: the first rank sees no time pass
        return cls(timesteps, signals, images, bounds, named, late=seed % 4 == 1)

    def share(self, values: list[torch.Tensor], rank: int) -> list[torch.Tensor]:
        end = None if rank == len(self.bounds) - 2 else self.bounds[rank + 1]
        return [value[:, self.bounds[rank] : end] for value in values]


def mixing(group: Any = None) -> Mixing:
    torch.manual_seed(0)
    return Mixing(group)


def run(trajectory: Trajectory, rank: int | None, group: Any = None, **settings: Any) -> dict[str, Any]:
    module, hook = hooked(mixing(group), extract_mixing, THRESHOLD, **settings)
    inputs = (trajectory.images, trajectory.signals, trajectory.timesteps)
    if rank is not None:
        inputs = tuple(trajectory.share(values, rank) for values in inputs)
    decisions, outputs = [], []
    # Late: as if timesteps were on an accelerator, to be read with the distance.
    late = patch.object(moments, "costs_nothing_to_read", lambda tensor: not trajectory.late)
    with torch.no_grad(), late, teaspec.branch("cond") if trajectory.named else nullcontext():
        for arguments in zip(*inputs, strict=True):
            outputs.append(module(*arguments))
            decisions.append(hook.decisions[-1])
    return {
        "choices": [one.decision for one in decisions],
        "reasons": [one.reason for one in decisions],
        "distances": [one.distance for one in decisions],
        "steps": [one.step for one in decisions],
        "outputs": outputs,
    }


def sequences(rank: int, size: int) -> list[dict[str, Any]]:
    """Runs each trajectory on one process, on shares of it, and on shares whose ranks decide alone."""
    found = []
    for seed in range(TRAJECTORIES):
        trajectory = Trajectory.draw(seed, size)
        whole = run(trajectory, None)
        shared = run(trajectory, rank, dist.group.WORLD, process_group=dist.group.WORLD)
        alone = run(trajectory, rank)
        close = all(
            torch.allclose(one, other, atol=1e-5, equal_nan=True)
            for one, other in zip(trajectory.share(whole["outputs"], rank), shared["outputs"], strict=True)
        )
        for kind in (whole, shared, alone):
            del kind["outputs"]
        found.append({"whole": whole, "shared": shared, "alone": alone, "close": close})
    return found


OTHER_RULES: tuple[dict[str, Any], ...] = ({"budget": 4}, {"tolerance": 0.3}, {"tolerance": 0.3, "forecast": "blend"})


def other_rules(rank: int, size: int) -> list[dict[str, Any]]:
    """A few trajectories under rules that measure nothing, or something else, on one process and on shares of it."""
    found = []
    for seed in range(12):
        trajectory = Trajectory.draw(seed, size)
        for settings in OTHER_RULES:
            settings = {"num_inference_steps": STEPS, **settings}
            whole = run(trajectory, None, **settings)
            shared = run(trajectory, rank, dist.group.WORLD, process_group=dist.group.WORLD, **settings)
            found.append({"whole": whole["choices"], "shared": shared["choices"], "reasons": shared["reasons"]})
    return found


def repeated(rank: int) -> tuple[list[str], bool]:
    """A fault on all ranks behind the decision, and the call repeated; equal to a run without it?"""
    outputs: dict[bool, list[torch.Tensor]] = {}
    for fault in (False, True):
        group = dist.group.WORLD
        module, hook = hooked(mixing(group), extract_mixing, THRESHOLD, process_group=group)
        outputs[fault] = []
        for step, level in enumerate((1.0, 1.1, 1.6, 1.7)):
            arguments = (torch.ones(1, 3 + rank, WIDTH), torch.full((1, 3 + rank, WIDTH), level), 9.0 - step)
            module.fails = fault and step == 2
            with torch.no_grad():
                if module.fails:
                    try:
                        module(*arguments)
                    except RuntimeError:
                        module.fails = False
                outputs[fault].append(module(*arguments))
    return choices(hook), all(map(torch.equal, outputs[False], outputs[True]))


def past_the_cache(rank: int) -> list[str]:
    """The last rank alone makes a call past the cache: the blocks of the others wait for it, so they have to run."""
    group = dist.group.WORLD
    last = rank == dist.get_world_size() - 1
    extractor = MixingExtractor(bypass=("record",))
    module, hook = hooked(mixing(group), extractor, THRESHOLD, process_group=group)
    for step, past in enumerate((False, False, last, False)):
        signal = torch.full((1, 3 + rank, WIDTH), 1.0 + step / 100)
        module(torch.ones(1, 3 + rank, WIDTH), signal, 9.0 - step, **({"record": []} if past else {}))
    return [f"{one.decision}: {one.reason}" for one in hook.decisions]


def waits(rank: int) -> list[list[str]]:
    """What each named call exchanges and waits for, where timesteps would be on an accelerator."""
    made: list[str] = []

    def noted(owner: Any, name: str) -> Any:
        original = getattr(owner, name)

        def run(*args: Any, **kwargs: Any) -> Any:
            made.append(name)
            return original(*args, **kwargs)

        return patch.object(owner, name, run)

    module, _ = hooked(mixing(), extract_mixing, THRESHOLD, process_group=dist.group.WORLD)
    calls = []
    late = patch.object(moments, "costs_nothing_to_read", lambda tensor: False)
    with late, noted(dist, "all_reduce"), noted(torch.Tensor, "tolist"), noted(torch.Tensor, "item"), torch.no_grad():
        for step in range(3):
            made.clear()
            with teaspec.branch("cond"):
                module(torch.ones(1, 3, WIDTH), torch.full((1, 3, WIDTH), 1.0 + step / 100), torch.tensor([9.0 - step]))
            calls.append(list(made))
    return calls


def without_a_group(rank: int) -> str:
    """Ranks that decide alone, one of them to compute: it waits in its blocks for the others."""
    impatient = dist.new_group(timeout=timedelta(seconds=2))
    module, _ = hooked(mixing(impatient), extract_mixing, THRESHOLD)
    image = torch.ones(1, 3, WIDTH)
    module(image, torch.ones(1, 3, WIDTH), 2.0)
    said = "done"
    try:
        module(image, torch.full((1, 3, WIDTH), 2.0 if rank == 0 else 1.0), 1.0)
    except RuntimeError as error:
        said = str(error)
    dist.barrier()
    return said


def branches(rank: int, size: int) -> list[dict[str, Any]]:
    """Each rank has a branch; they decide apart, then together. Things happen to one of them at a time."""
    found = []
    for seed in range(TRAJECTORIES):
        rng = random.Random(seed)
        moves = [[rng.choice([0.0, 0.1, 0.2, 0.4]) * rng.random() for _ in range(size)] for _ in range(STEPS)]
        events = [rng.choice(["", "", "", "", *EVENTS]) for _ in range(STEPS)]
        victims = [rng.randrange(size) for _ in range(STEPS)]
        own = [event if victim == rank else "" for event, victim in zip(events, victims, strict=True)]
        mine = [move[rank] for move in moves]
        found.append({decide: _branch(rank, decide, mine, own) for decide in ("branch", "any")})
    return found


def _branch(rank: int, decide: str, moves: list[float], events: list[str]) -> list[tuple[str, str, Any]]:
    """What was decided at each step, why, and the distance; calls past the cache decide nothing."""
    settings = {"decide": decide, "cfg_group": dist.group.WORLD}
    module, hook = hooked(mixing(), MixingExtractor(bypass=("record",)), THRESHOLD, **settings)
    module.do_true_cfg = True
    level, tokens, made = 1.0 + rank, 3, []
    for step, (move, event) in enumerate(zip(moves, events, strict=True)):
        level *= 1 + move
        tokens += event == "shape"
        signal = torch.full((1, tokens, WIDTH), float("nan") if event == "nan" else level)
        past = {"bypass": {"record": []}, "finish": {"finish": True}}.get(event, {})
        module(torch.ones(1, tokens, WIDTH), signal, float(STEPS - step), **past)
        last = None if past else hook.decisions[-1]
        made.append(("compute", event, None) if last is None else (last.decision, last.reason, last.distance))
    assert {one.branch.partition(":")[0] for one in hook.decisions} <= {PAIR[min(rank, 1)]}
    return made


def shares_and_branches(rank: int) -> list[dict[str, Any]]:
    """Four ranks: two branches, each on two shares of its sequence."""
    pairs = [dist.new_group(pair) for pair in ([0, 1], [2, 3], [0, 2], [1, 3])]
    sequence, cfg = pairs[rank // 2], pairs[2 + rank % 2]
    settings = {"process_group": sequence, "cfg_group": cfg, "decide": "any"}
    found = []
    for seed in range(TRAJECTORIES):
        trajectory = Trajectory.draw(2 * seed + rank // 2, 2)
        whole, shared = run(trajectory, None), run(trajectory, rank % 2, sequence, **settings)
        parts = [
            list(zip(*(one[key] for key in ("choices", "reasons", "distances")), strict=True))
            for one in (whole, shared)
        ]
        found.append({"branch": parts[0], "any": parts[1]})
    return found


def copied() -> bool:
    """A hooked module can be copied, and the copy belongs to the same group."""
    module, _ = hooked(SingleStream(), process_group=dist.group.WORLD)
    hook = find_teacache_hook(copy.deepcopy(module))
    return hook is not None and hook.config.process_group is dist.group.WORLD


def found_elsewhere() -> list[bool]:
    """Groups of a library that is loaded, by the functions that vLLM-Omni and xDiT have."""
    size, rank = dist.get_world_size(), dist.get_rank()
    group = SimpleNamespace(device_group=dist.group.WORLD)
    functions = {
        "get_sequence_parallel_world_size": lambda: size,
        "get_sp_group": lambda: group,
        "get_classifier_free_guidance_world_size": lambda: size,
        "get_classifier_free_guidance_rank": lambda: rank,
        "get_cfg_group": lambda: group,
    }
    config, module = TeaCacheConfig(coefficients=[0, 0, 0, 1, 0], decide="any"), SimpleNamespace(do_true_cfg=True)
    found = []
    for name in HOMES:
        with patch.dict(sys.modules, {name: SimpleNamespace(**functions)}):
            ranks = Ranks.of(config, module, (), {})
            found += [
                ranks.sequence is dist.group.WORLD,
                ranks.branches is dist.group.WORLD,
                cfg_rank(config.cfg_rank, config.cfg_group) == rank,
            ]
    return found
