"""The landmarks of a spec, found in the model's source."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field
from typing import Literal

from teaspec.compiler.report import Span


@dataclass(frozen=True)
class Landmark:
    """A place in the model's source that the spec names.

    Attributes:
        role: Which of the four landmarks it is.
        label: What the spec calls it.
        span: Where it stands.
        source_line: The text of that line.
    """

    role: Literal["embed", "norm", "loop", "head"]
    label: str
    span: Span
    source_line: str


@dataclass(frozen=True)
class Landmarks:
    """All landmarks of a forward, and where they cut it.

    Attributes:
        found: The landmarks in the order embed, norm, loops, head.
        body: The statements of the forward, docstring left out.
        first: Index of the first statement of *blocks*.
        last: Index of the last statement of *blocks*.
        hidden: Name of the hidden stream.
        encoder: Name of the encoder stream, None for a single-stream model.
        temb: Names of the timestep embedding, of which the first that is not None counts; none where the forward has no
            embedding call.
        signal: Names of the value that decides, in the same way; None where it is the modulated input behind the norm.
    """

    found: tuple[Landmark, ...]
    body: tuple[ast.stmt, ...] = field(repr=False)
    first: int
    last: int
    hidden: str
    encoder: str | None
    temb: tuple[str, ...]
    signal: tuple[str, ...] | None
