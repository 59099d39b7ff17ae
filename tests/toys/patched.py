"""Models that replace methods of their own instances, as tools from outside do it."""

from __future__ import annotations

import functools

from tests.toys.unfit import Plain


class Patched(Plain):
    """Each instance has a forward that no source shows."""

    def __init__(self):
        super().__init__()
        self.forward = lambda *args, **kwargs: Plain.forward(self, *args, **kwargs)


class PatchedBlock(Plain):
    """Its first block has one."""

    def __init__(self):
        super().__init__()
        block = self.transformer_blocks[0]
        block.forward = functools.partial(block.forward)
