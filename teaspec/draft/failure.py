"""A call that failed, as evidence: the numbers in its message, the lines that it went through, and what stood there."""

from __future__ import annotations

import ast
import linecache
import re
import textwrap
import traceback
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from types import FrameType
from typing import Any

import torch

from teaspec.runtime.contract.arguments import tensors_in

_LONGEST = 14
"""How many lines a statement may have."""


@dataclass(frozen=True)
class Failure:
    """What a forward said against its arguments, and where.

    Attributes:
        error: The exception.
        given: The arguments of the call, by name.
    """

    error: Exception
    given: Mapping[str, Any]

    @property
    def text(self) -> str:
        """The message."""
        return str(self.error)

    @cached_property
    def places(self) -> list[tuple[FrameType, str]]:
        """The frames that the call went through, each with the statement that it was in, the innermost first."""
        return [(frame, _statement(frame, line)) for frame, line in traceback.walk_tb(self.error.__traceback__)][::-1]

    @cached_property
    def mismatches(self) -> list[tuple[int, int]]:
        """The numbers of an error of torch: what was found, and what was wanted."""
        return [
            (int(match["found"]), int(match["wanted"])) for form in _FORMS for match in re.finditer(form, self.text)
        ]

    def nones(self) -> list[str]:
        """The local names that are None in the statements that failed, the innermost first."""
        found: list[str] = []
        attribute = re.search(r"'NoneType' object has no attribute '(\w+)'", self.text)
        for frame, text in self.places:
            read = re.sub(r"^\s*\w+ = ", "", text)  # what the statement would have bound is None by rights
            names = [n for n in re.findall(r"\w+", read) if frame.f_locals.get(n, 0) is None]
            if attribute:
                names.sort(key=lambda n: f"{n}.{attribute[1]}" not in text)
            found += names
        return found

    def inputs_in(self, frame: FrameType, text: str) -> Iterator[tuple[str, str]]:
        """The local names in a statement that hold an argument of the call, each with the argument.

        A view of an argument, or a part of a list of them, is still that argument.
        """
        for local in dict.fromkeys(re.findall(r"\w+", text)):
            held = frame.f_locals.get(local)
            for name, value in self.given.items():
                if isinstance(held, torch.Tensor) and any(_same(held, part) for part in tensors_in((value,), {})):
                    yield local, name

    def unpacked(self) -> tuple[str, list[str]] | None:
        """The argument whose shape was unpacked in vain, and the names for its dims."""
        if "values to unpack" not in self.text or not self.places:
            return None
        frame, text = self.places[0]
        found = re.match(r"\s*([\w, *]+) = (\w+)\.(?:shape|size\(\))\s*$", text)
        names = dict(self.inputs_in(frame, text)) if found else {}
        if found is None or found[2] not in names:
            return None
        return names[found[2]], [part.strip() for part in found[1].split(",")]


def _same(one: torch.Tensor, other: torch.Tensor) -> bool:
    return one.untyped_storage().data_ptr() == other.untyped_storage().data_ptr() != 0


def _statement(frame: FrameType, line: int) -> str:
    """The statement that begins at a line; that line alone where it is none."""
    lines = [linecache.getline(frame.f_code.co_filename, line + more) for more in range(_LONGEST)]
    if not lines[0].rstrip().endswith("("):
        return lines[0]
    for count in range(1, _LONGEST):
        text = textwrap.dedent("".join(lines[:count]))
        try:
            ast.parse(text)
        except SyntaxError:
            continue
        return text
    return "".join(lines)


_FORMS = (
    r"shapes cannot be multiplied \(\d+x(?P<found>\d+) and (?P<wanted>\d+)x\d+\)",
    r"to have (?P<wanted>\d+) channels, but got (?P<found>\d+) channels",
    r"size of tensor a \((?P<found>\d+)\) must match the size of tensor b \((?P<wanted>\d+)\)",
    r"size of tensor a \((?P<wanted>\d+)\) must match the size of tensor b \((?P<found>\d+)\)",
    r"expected input with shape \[\*,? ?(?P<wanted>\d+)\], but got input of size\[.*?(?P<found>\d+)\]",
    r"[Ee]xpected size (?P<wanted>\d+) but got size (?P<found>\d+)",
    r"[Ee]xpected size (?P<found>\d+) but got size (?P<wanted>\d+)",
    r"tensor to be: \[\d+, (?P<found>\d+)\] but got: \[\d+, (?P<wanted>\d+)\]",
)
