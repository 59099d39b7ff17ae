"""What all pydantic forms have in common."""

from __future__ import annotations

from collections.abc import Sized
from typing import Annotated, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from teaspec.compiler.forms.mistake import mistake

SYNTHETIC = "\0"
"""First character of the steps of an error's location that do not stand in the document. No document holds it."""

T = TypeVar("T")

Text = Annotated[str, StringConstraints(min_length=1)]
"""A text that says something."""


class Form(BaseModel):
    """Frozen data that knows its keys and converts nothing."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


def _only_list(raw: object) -> object:
    if not isinstance(raw, list | tuple):
        raise mistake("wrong-type", f"expected a list, found {describe(raw)}")
    return tuple(raw)


Sequence = Annotated[tuple[T, ...], Field(strict=False), BeforeValidator(_only_list)]
"""A YAML list, kept as a tuple."""


def at_most(limit: int, what: str) -> AfterValidator:
    """Builds the validator of a list or mapping that holds no more than makes sense.

    Args:
        limit: The largest number of items.
        what: What the items are, in the plural.
    """

    def check(items: Sized) -> Sized:
        if len(items) > limit:
            raise mistake("wrong-length", f"expected at most {limit} {what}, found {len(items)}")
        return items

    return AfterValidator(check)


def describe(raw: object) -> str:
    """Says in words what kind of YAML value something is.

    Args:
        raw: A plain value as read from YAML.

    Returns:
        For example "a list" or "the number `3`".
    """
    if raw is None:
        return "nothing"
    if isinstance(raw, bool):
        return f"the truth value `{str(raw).lower()}`"
    if isinstance(raw, int | float):
        return f"the number `{raw}`"
    if isinstance(raw, str):
        return f"the text `{raw if len(raw) <= 60 else raw[:57] + '...'}`" if raw else "an empty text"
    if isinstance(raw, list | tuple):
        return "a list" if raw else "an empty list"
    return "a mapping" if raw else "an empty mapping"
