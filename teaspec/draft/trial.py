"""Trying a probe: calls of the model's own forward, whose errors say what is wrong with the arguments."""

from __future__ import annotations

import copy
from collections.abc import Callable

from torch import nn

from teaspec.draft import kinds, sizes
from teaspec.draft.failure import Failure
from teaspec.draft.inputs import Inputs, forward_parameters

_ATTEMPTS = 24
_SMALL = 4

Call = Callable[[nn.Module, Inputs, int], None]
"""Makes arguments from inputs, with the largest dims (1) or the smallest (0), and calls the module with them."""


class Trial:
    """Calls a tiny instance again and again, and learns from each error what its inputs have to be.

    Attributes:
        module: The instance.
        inputs: What is tried; it gets better with each error.
    """

    def __init__(self, module: nn.Module, inputs: Inputs) -> None:
        """Begins with the first guess at the inputs."""
        self.module, self.inputs = module, inputs
        self.parameters = forward_parameters(type(module))

    def run(self, call: Call) -> Exception | None:
        """Calls until it works or nothing more can be learned from the error, which is then returned.

        Args:
            call: Calls the module.
        """
        error: Exception | None = None
        for _ in range(_ATTEMPTS):
            error = self._try(call, 1) or self._try_smallest(call)
            if error is None:
                self._shrink(call)
                return None
            if not self._learn(Failure(error, self.inputs.given)):
                return error
        return error

    def _try(self, call: Call, which: int) -> Exception | None:
        try:
            call(self.module, self.inputs, which)
        except Exception as caught:  # what a model says about its arguments comes in every kind
            return caught
        return None

    def _try_smallest(self, call: Call) -> Exception | None:
        """Some forwards lose a dim of one token, or ask for more than one: then the smallest dims are larger."""
        error = self._try(call, 0)
        if error is None:
            return None
        before = self.inputs.dims
        for names in (("columns",), ("rows", "columns"), ("text", "image"), tuple(before)):
            self.inputs.dims = {
                name: [2, highest] if name in names and name != "batch" and lowest < 2 < highest else [lowest, highest]
                for name, (lowest, highest) in before.items()
            }
            if self._try(call, 0) is None:
                return None
        self.inputs.dims = before
        return self._try(call, 0)

    def _shrink(self, call: Call) -> None:
        """Makes small what nobody asked for the size of."""
        for tag, name in self.inputs.tags.items():
            before = copy.deepcopy(self.inputs.values)
            if self.inputs.settle(name, tag, _SMALL) and (self._try(call, 1) or self._try(call, 0)):
                self.inputs.values = before

    def _learn(self, failure: Failure) -> bool:
        inputs = self.inputs
        return (
            sizes.width(inputs, failure)
            or sizes.joined(inputs, failure)
            or kinds.keys(inputs, failure)
            or kinds.missing(inputs, failure, self.parameters)
            or kinds.rank(inputs, failure, self.module)
            or kinds.looked_up(inputs, failure)
            or kinds.dtype(inputs, failure)
            or sizes.part_width(inputs, failure)
            or sizes.length(inputs, failure, self.module)
            or sizes.both_sequences(inputs, failure)
            or sizes.seen_as(inputs, failure)
            or sizes.divisible(inputs, failure)
            or sizes.pooled(inputs, failure)
            or kinds.batched(inputs, failure)
            or kinds.smaller_numbers(inputs, failure)
            or sizes.as_long_as_the_latents(inputs, failure)
            or kinds.longer_list(inputs, failure)
            or sizes.square(inputs, failure)
            or kinds.described_rank(inputs, type(self.module))
        )
