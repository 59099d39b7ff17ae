"""The probe: how to build a tiny instance of the model and draw inputs for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from teaspec.compiler.forms.frozen import SYNTHETIC, Form, Sequence, Text, at_most
from teaspec.compiler.forms.names import Identifier
from teaspec.compiler.forms.numbers import DimRange, ModuleDType
from teaspec.compiler.forms.values import Absent, Value

MAX_CASES = 64
MAX_DIMS = 64
MAX_INPUTS = 256


class Input(Form):
    """An argument of the model's forward.

    Attributes:
        value: What to draw.
        optional: Whether it is sometimes not passed (a trailing `?` in the YAML).
    """

    value: Value = Field(alias=SYNTHETIC + "value")
    optional: bool = Field(default=False, alias=SYNTHETIC + "optional")


def _split_marks(raw: object) -> object:
    """Takes the `?` off the names of the inputs."""
    if not isinstance(raw, dict):
        return raw
    inputs: dict[str, object] = {}
    for key, value in raw.items():
        name = key.removesuffix("?")
        is_form = isinstance(value, Input)
        inputs[name] = value if is_form else {SYNTHETIC + "value": value, SYNTHETIC + "optional": key != name}
    return inputs


Inputs = Annotated[Mapping[Identifier, Input], BeforeValidator(_split_marks), at_most(MAX_INPUTS, "inputs")]
Dims = Annotated[Mapping[Identifier, DimRange], at_most(MAX_DIMS, "dims")]


class Case(Form):
    """What one alternative of the probe changes.

    Attributes:
        config: Constructor arguments, replaced or added.
        dims: Dims, replaced or added.
        inputs: Inputs, replaced, added, or absent.
        dtype: The one dtype of this case.
    """

    config: Mapping[Identifier, Any] = Field(default_factory=dict)
    dims: Dims = Field(default_factory=dict)
    inputs: Inputs = Field(default_factory=dict)
    dtype: ModuleDType | None = None


class Probe(Form):
    """How to build a tiny instance of the model and draw inputs for it.

    Attributes:
        config: Keyword arguments of the model's constructor, plain YAML values.
        dims: Name to smallest and largest value, both included.
        inputs: Name of the argument to what is drawn for it.
        cases: Alternatives; each is merged over the rest.
        untried: Arguments of the forward that no input stands for, each with the reason.
        dtype: The one dtype that the instance has; None where the proof draws it.
    """

    config: Mapping[Identifier, Any] = Field(default_factory=dict)
    dims: Dims = Field(default_factory=dict)
    inputs: Inputs = Field(default_factory=dict)
    cases: Annotated[Sequence[Case], at_most(MAX_CASES, "cases")] = ()
    untried: Mapping[Identifier, Text] = Field(default_factory=dict)
    dtype: ModuleDType | None = None

    def merged(self, case: Case | None) -> Probe:
        """Applies a case.

        Args:
            case: One of `cases`, or None for the base alone.

        Returns:
            A probe without cases, in which no input is absent.
        """
        changes = case if case is not None else Case()
        inputs = {**self.inputs, **changes.inputs}
        return Probe(
            config={**self.config, **changes.config},
            dims={**self.dims, **changes.dims},
            inputs={name: given for name, given in inputs.items() if not isinstance(given.value, Absent)},
            dtype=changes.dtype or self.dtype,
        )

    @property
    def alternatives(self) -> tuple[Probe, ...]:
        """The base alone, then the base with each of its cases applied."""
        return tuple(self.merged(case) for case in (None, *self.cases))


for _form in (Input, Case, Probe):
    _form.model_rebuild()
