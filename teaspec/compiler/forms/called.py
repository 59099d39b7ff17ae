"""What a function calls by name: what summaries of functions, and the methods of a module, are found by.

A plain function is found by its name, a string; so is a method of the module's own class among its methods.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Method:
    """A method, or a submodule, of the model: `self.<name>(...)`."""

    name: str

    def __str__(self) -> str:
        return f"self.{self.name}"


@dataclass(frozen=True)
class Above:
    """A method that a class overrides: `super().<name>(...)`."""

    name: str

    def __str__(self) -> str:
        return f"super().{self.name}"


CalledName = str | Method | Above
"""What is called by a name."""


@dataclass(frozen=True)
class Overridden:
    """A method of one of a class's ancestors, which the class overrides and calls by `super()`.

    Attributes:
        owner: The ancestor.
        name: The method.
    """

    owner: str
    name: str

    def __str__(self) -> str:
        return f"{self.owner}.{self.name}"


MethodName = str | Overridden
"""What a module's methods are found by."""
