"""The hook against an independent, straight-line implementation of the TeaCache rule."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from teaspec import TeaCacheConfig, apply_teacache_hook, register_extractor
from teaspec.runtime.pipeline.apply import find_teacache_hook
from tests.runtime.models import WIDTH, SingleStream, extract_single


@dataclass
class Reference:
    """One branch, written down from the paper's rule, in numpy."""

    coefficients: list[float]
    threshold: float
    absolute: bool
    previous: Any = None
    residual: Any = None
    accumulated: float = 0.0
    decisions: list[str] = field(default_factory=list)

    def step(self, module: SingleStream, hidden: torch.Tensor, signal: torch.Tensor) -> torch.Tensor:
        now = signal.numpy()
        compute = True
        if self.previous is not None:
            change = np.abs(now - self.previous).mean() / (np.abs(self.previous).mean() + 1e-8)
            rescaled = np.poly1d(self.coefficients)(float(change))
            self.accumulated += abs(rescaled) if self.absolute else rescaled
            # Two float32 sums may differ in their last bits; what is too close to call is no test.
            assume(abs(self.accumulated - self.threshold) > 1e-4 * (1 + abs(self.accumulated)))
            compute = self.accumulated >= self.threshold
        self.previous = now
        entry = module.embed(hidden)
        if compute:
            self.accumulated = 0.0
            after = entry
            for block in module.blocks:
                after = block(after, signal.mean())
            self.residual = after - entry
        else:
            after = entry + self.residual
        self.decisions.append("compute" if compute else "reuse")
        return module.head(after)


@settings(deadline=None, max_examples=150)
@given(
    distances=st.lists(st.lists(st.floats(0, 0.625, width=32), min_size=1, max_size=14), min_size=1, max_size=3),
    coefficients=st.lists(st.floats(-3, 3, width=16), min_size=5, max_size=5),
    threshold=st.floats(0.01, 1.0),
    absolute=st.booleans(),
    named=st.booleans(),
)
def test_decisions_and_outputs_follow_the_rule(
    distances: list[list[float]], coefficients: list[float], threshold: float, absolute: bool, named: bool
) -> None:
    register_extractor("SingleStream", extract_single)
    torch.manual_seed(0)
    module, plain = SingleStream(), SingleStream()
    plain.load_state_dict(module.state_dict())
    accumulate = "absolute" if absolute else "signed"
    apply_teacache_hook(module, TeaCacheConfig(threshold, coefficients, accumulate=accumulate))
    hook = find_teacache_hook(module)

    # Branches of unequal length would make the k-th unnamed call another branch's, so they share the shortest.
    length = min(map(len, distances))
    references = [Reference(coefficients, threshold, absolute) for _ in distances]
    signals = [torch.ones(1, WIDTH) * (index + 1) for index in range(len(distances))]
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for step in range(length):
            hidden = torch.randn(1, 2, WIDTH, generator=generator)  # the passes of a step are about one image
            for index, reference in enumerate(references):
                signals[index] = signals[index] * (1 + distances[index][step])
                expected = reference.step(plain, hidden, signals[index])
                if named:
                    with module.cache_context(f"branch {index}"):
                        output = module(hidden, signals[index])
                else:
                    output = module(hidden, signals[index], timestep=torch.tensor(float(length - step)))
                assert torch.equal(output, expected)
    for index, reference in enumerate(references):
        branch = f"branch {index}" if named else f"#{index}"
        assert [one.decision for one in hook.decisions if one.branch == branch] == reference.decisions
        counts = hook.counts[branch]
        assert (counts.computed, counts.reused) == tuple(map(reference.decisions.count, ("compute", "reuse")))
