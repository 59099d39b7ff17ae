"""The values that a probe draws or makes for the arguments of a call.

A value is one of several kinds, each a small form. The YAML has short forms for the two most frequent ones: a list is
the shape of a float tensor, and a scalar stands for itself.

The forms say what to draw, not how: nothing here knows torch.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal, TypeAlias

from pydantic import BaseModel, BeforeValidator, Discriminator, Field, Tag, model_validator

from teaspec.compiler.forms.expression import parse_expression
from teaspec.compiler.forms.frozen import SYNTHETIC, Form, Sequence, describe
from teaspec.compiler.forms.mistake import mistake
from teaspec.compiler.forms.names import Identifier
from teaspec.compiler.forms.numbers import DType, Range, Size
from teaspec.compiler.report import did_you_mean

_ZERO = parse_expression("0")


class Tensor(Form):
    """A tensor.

    Attributes:
        shape: One size per dimension; none for a tensor of one number.
        dtype: Its dtype; `float` is the dtype drawn for the whole probe.
        range: Lowest and highest value, uniform between them, both included. Without one, floats and complex
            numbers are standard normal and bools are drawn evenly.
        integer: Whether a float tensor holds whole numbers only.
    """

    shape: Sequence[Size] = Field(alias="tensor")
    dtype: DType = "float"
    range: Range | None = None
    integer: bool = False


class Mask(Form):
    """A prefix mask: along the last dimension at least one token is kept, then the rest is masked out.

    Attributes:
        shape: At least one size.
        dtype: Its dtype; kept tokens are 1 or True.
    """

    shape: Sequence[Size] = Field(alias="mask")
    dtype: DType = "bool"


class Indices(Form):
    """A tensor of different whole numbers in rising order: which rows of a longer sequence something takes.

    Attributes:
        count: How many; at most as many as there are.
        below: The first number that is too large.
        start: The smallest number, 0 unless the spec says otherwise.
    """

    count: Size = Field(alias="indices")
    below: Size
    start: Size = Field(default=_ZERO, alias="from")


class Concat(Form):
    """Tensors joined along their last dimension.

    Attributes:
        parts: Tensors, masks, indices, or such values again; at least one.
    """

    parts: Sequence[Value] = Field(alias="concat")


class Dim(Form):
    """An integer that depends on the dims.

    Attributes:
        size: The expression.
    """

    size: Size = Field(alias="dim")


class Choice(Form):
    """One of several literal values, drawn.

    Attributes:
        options: Plain YAML values, at least one.
    """

    options: Sequence[Any] = Field(alias="choice")


class Repeat(Form):
    """A list with a drawn number of values, each drawn on its own.

    Attributes:
        count: How many.
        value: What each of them is.
    """

    count: Size = Field(alias="repeat")
    value: Value = Field(alias="of")


class ListOf(Form):
    """A list of values.

    Attributes:
        items: What it holds.
    """

    items: Sequence[Value] = Field(alias="list")


class TupleOf(Form):
    """A tuple of values.

    Attributes:
        items: What it holds.
    """

    items: Sequence[Value] = Field(alias="tuple")


class DictOf(Form):
    """A dict of values.

    Attributes:
        items: What it holds.
        integer: Whether its keys are whole numbers, which YAML has as texts.
    """

    items: Mapping[str, Value] = Field(alias="dict")
    integer: bool = False

    @model_validator(mode="after")
    def _keys_are_numbers(self) -> DictOf:
        bad = next((key for key in self.items if self.integer and not re.fullmatch("-?[0-9]+", key)), None)
        if bad is not None:
            raise mistake("wrong-value", f"expected a whole number as key, found `{bad}`")
        return self


class ObjectOf(Form):
    """An object of a class that the model's own module defines, such as its key and value cache.

    Attributes:
        class_name: The class, by its plain name: a spec makes nothing but what the model brings along.
        arguments: Keyword arguments of the constructor.
        attributes: What is set on the object afterwards.
    """

    class_name: Identifier = Field(alias="object")
    arguments: Mapping[Identifier, Value] = Field(default_factory=dict, alias="with")
    attributes: Mapping[Identifier, Value] = Field(default_factory=dict, alias="set")


class Constant(Form):
    """A plain value, used as it stands.

    Attributes:
        value: Any plain YAML value.
    """

    value: Any = Field(alias="literal")


def _only_true(raw: object) -> object:
    if raw is not True:
        raise mistake("wrong-value", f"`absent` can only be `true`, found {describe(raw)}", "leave the input out")
    return raw


class Absent(Form):
    """In a case: the input of the base is not passed."""

    absent: Annotated[Literal[True], BeforeValidator(_only_true)]


KINDS: dict[str, type[Form]] = {
    "tensor": Tensor,
    "mask": Mask,
    "indices": Indices,
    "concat": Concat,
    "dim": Dim,
    "choice": Choice,
    "repeat": Repeat,
    "list": ListOf,
    "tuple": TupleOf,
    "dict": DictOf,
    "object": ObjectOf,
    "literal": Constant,
    "absent": Absent,
}


def _long_form(raw: object) -> object:
    """Spells out the two short forms and refuses a mapping that is of no kind or of several."""
    if isinstance(raw, BaseModel):
        return raw
    if isinstance(raw, list):
        return {"tensor": raw}
    if not isinstance(raw, dict):
        return {"literal": raw}
    kinds = [key for key in raw if key in KINDS]
    if len(kinds) == 1:
        return raw
    if kinds:
        found = " and ".join(f"`{kind}`" for kind in kinds)
        raise mistake("several-value-kinds", f"a value is of one kind, but this one has the keys {found}")
    meant = [line for key in raw for line in did_you_mean(key, KINDS)]
    known = ", ".join(f"`{kind}`" for kind in KINDS)
    general = [f"it needs one of the keys {known}", "a plain mapping is written `{dict: {...}}`"]
    raise mistake("unknown-value-kind", "this mapping does not say which kind of value it is", *(meant or general))


def _kind_tag(raw: object) -> str | None:
    if isinstance(raw, dict):
        return next((SYNTHETIC + key for key in raw if key in KINDS), None)
    return next((SYNTHETIC + key for key, form in KINDS.items() if isinstance(raw, form)), None)


Value: TypeAlias = Annotated[
    Annotated[Tensor, Tag(SYNTHETIC + "tensor")]
    | Annotated[Mask, Tag(SYNTHETIC + "mask")]
    | Annotated[Indices, Tag(SYNTHETIC + "indices")]
    | Annotated[Concat, Tag(SYNTHETIC + "concat")]
    | Annotated[Dim, Tag(SYNTHETIC + "dim")]
    | Annotated[Choice, Tag(SYNTHETIC + "choice")]
    | Annotated[Repeat, Tag(SYNTHETIC + "repeat")]
    | Annotated[ListOf, Tag(SYNTHETIC + "list")]
    | Annotated[TupleOf, Tag(SYNTHETIC + "tuple")]
    | Annotated[DictOf, Tag(SYNTHETIC + "dict")]
    | Annotated[ObjectOf, Tag(SYNTHETIC + "object")]
    | Annotated[Constant, Tag(SYNTHETIC + "literal")]
    | Annotated[Absent, Tag(SYNTHETIC + "absent")],
    Discriminator(_kind_tag),
    BeforeValidator(_long_form),
]

for _form in (Concat, Repeat, ListOf, TupleOf, DictOf, ObjectOf):
    _form.model_rebuild()


def inner_values(value: Value) -> Iterator[tuple[tuple[str | int, ...], Value]]:
    """The values that a value directly holds, each with its place in it."""
    if isinstance(value, Concat):
        yield from ((("concat", index), part) for index, part in enumerate(value.parts))
    elif isinstance(value, Repeat):
        yield ("of",), value.value
    elif isinstance(value, ListOf | TupleOf):
        key = "list" if isinstance(value, ListOf) else "tuple"
        yield from (((key, index), item) for index, item in enumerate(value.items))
    elif isinstance(value, DictOf):
        yield from ((("dict", name), item) for name, item in value.items.items())
    elif isinstance(value, ObjectOf):
        yield from ((("with", name), item) for name, item in value.arguments.items())
        yield from ((("set", name), item) for name, item in value.attributes.items())
