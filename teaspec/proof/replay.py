"""A call of the model whose blocks return what they returned in another one, moved by how far the streams have moved.

It is what a reused step has to be, and knows nothing of the compiler: the model's own forward runs, and whatever does
not pass through a block is this call's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import torch
from torch import nn

from teaspec.proof.moving import changed_tensors, move_of, origin_of, threads_of
from teaspec.proof.recording import Attributes, BlockCall, attributes_of_blocks, set_attributes, tensors_given


class UnjudgedError(Exception):
    """Nobody can say what the reused step would have to be."""


class Replay:
    """Has blocks replay a recorded call of their model. Used as a context, it puts their own forwards back."""

    def __init__(self, calls: Sequence[BlockCall], lists: Sequence[Sequence[nn.Module]]) -> None:
        """Takes over the forwards of the blocks.

        Args:
            calls: What was recorded.
            lists: The model's lists of blocks.
        """
        self._calls = calls
        self._rows = {id(block): row for row, blocks in enumerate(lists) for block in blocks}
        self._threads = threads_of(calls, self._rows)
        self._lists = lists
        self._next = 0
        self.behind: Attributes = {}
        """What is below the blocks when the last one has returned."""
        # How far streams have moved: by list, input and shape, as they were last returned by a block.
        self._moves: dict[tuple[int, str, torch.Size], torch.Tensor] = {}
        self._blocks = list({id(call.block): call.block for call in calls}.values())
        for block in self._blocks:
            block.forward = partial(self._run, block)

    def __enter__(self) -> Replay:
        return self

    def __exit__(self, *_: object) -> None:
        for block in self._blocks:
            del block.forward

    def finish(self) -> None:
        """Makes sure that all blocks ran.

        Raises:
            UnjudgedError: If fewer did.
        """
        if self._next < len(self._calls):
            raise UnjudgedError(f"of {len(self._calls)} calls of blocks, {self._next} came again")

    def _run(self, block: nn.Module, *args: Any, **kwargs: Any) -> Any:
        call = self._calls[self._next] if self._next < len(self._calls) else None
        if call is None or call.block is not block:
            raise UnjudgedError("other blocks run, or in another order, where only values have changed")
        self._next += 1
        given = tensors_given(args, kwargs)
        if _forms(given) != _forms(call.given):
            raise UnjudgedError("blocks are given other shapes where only values have changed")
        row, moves = self._rows[id(block)], {}
        for place, now in given.items():
            if now.is_floating_point():
                known = self._moves.get((row, place, now.shape))
                others = [move for (_, _, shape), move in self._moves.items() if shape == now.shape]
                moves[place] = move_of(now, call.given[place], known, others)

        def returned(name: str, output: torch.Tensor) -> torch.Tensor:
            origin = origin_of(call, name, output, self._threads.get(row, {}))
            if origin is None:
                return output.clone()
            self._moves[row, origin, output.shape] = moves[origin]
            return (output.double() + moves[origin]).to(output.dtype)

        set_attributes(block, call.left)
        result = changed_tensors(call.returned, returned)
        if self._next == len(self._calls):
            self.behind = attributes_of_blocks(self._lists)
        return result


def _forms(given: Mapping[str, torch.Tensor]) -> dict[str, tuple[torch.Size, torch.dtype]]:
    return {place: (tensor.shape, tensor.dtype) for place, tensor in given.items()}
