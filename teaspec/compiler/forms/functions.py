"""The functions that a live module runs, and those that an extractor was compiled from.

A method can be replaced: on its class, or on one instance. What is asked here is what Python itself would find; hooks
that wrap a forward are seen through, for they go on calling it.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import FunctionType, MethodType
from typing import Any

FindReplaced = Callable[[Any], Any]
"""Gives the forward that somebody set on a module in place of its class's, None where nobody did."""


class NotAMethodError(Exception):
    """What stands in place of a method on an instance is no method of it."""


class HeldBackError(Exception):
    """The class has another forward since, and hooks around an instance go on calling the one of before."""


def find_replaced(module: Any) -> Any:
    """Gives the forward that was set on a module itself, by a hook or by somebody else; None where none was.

    Args:
        module: A live module.
    """
    return vars(module).get("forward")


def method_of(module: Any, name: str, find: FindReplaced) -> Any:
    """Gives the function that a module runs as a method: its class's, or the one that stands in its place.

    Args:
        module: A live module.
        name: The method.
        find: Gives its replaced forward.

    Raises:
        NotAMethodError: What stands in its place is no method of the module; the message says what it is.
        HeldBackError: Nobody can say which forward is meant.
    """
    own = vars(module).get(name)
    found = _without_hooks(find(module) if name == "forward" else own, module)
    if found is None:
        return getattr(type(module), name)
    function: Any
    if isinstance(found, MethodType) and found.__self__ is module:
        function = found.__func__
    elif _is_bound(found, module) and isinstance(found.func, FunctionType):
        function = found.func
    else:
        raise NotAMethodError(_described(found))
    if own is not found and function is not getattr(type(module), name) and _was_own(function, type(module)):
        raise HeldBackError
    return function


def _without_hooks(found: Any, module: Any) -> Any:
    """What hooks of diffusers and of accelerate wrap, and what `torch.compile` does, as far as they say so."""
    while True:
        if isinstance(found, functools.partial) and found.args and found.args[0] is module:
            wrapped = getattr(found, "__wrapped__", None)
        else:
            wrapped = getattr(found, "_torchdynamo_orig_callable", None)
        if wrapped is None:
            return found
        found = wrapped


def _is_bound(found: Any, module: Any) -> bool:
    """Whether something is `functools.partial(function, module)`, another way to write a method."""
    is_partial = isinstance(found, functools.partial) and len(found.args) == 1 and not found.keywords
    return is_partial and found.args[0] is module


def _was_own(function: Any, owner: type) -> bool:
    """Whether a function is what the body of a class, or of an ancestor, defines under its name."""
    place = (getattr(function, "__module__", None), getattr(function, "__qualname__", None))
    return any(place == (cls.__module__, f"{cls.__qualname__}.{function.__name__}") for cls in owner.__mro__)


def _described(found: Any) -> str:
    if isinstance(found, MethodType):
        return f"`{found.__func__.__qualname__}`, a method of another object,"
    if isinstance(found, FunctionType):
        return f"`{found.__qualname__}`, a plain function that is not given the module,"
    return f"a `{type(found).__module__}.{type(found).__qualname__}`"


def find_method(module: Any, name: str, find: FindReplaced) -> Any:
    """Gives the same; None where that cannot be said, or there is none."""
    try:
        return method_of(module, name, find)
    except (NotAMethodError, HeldBackError, AttributeError):
        return None


@dataclass(frozen=True)
class MethodsRead:
    """The methods of one module.

    Attributes:
        path: The steps from the model down to it; none for the model.
        forward: The function that is its forward.
        of_class: What its class has under each name that was read.
        of_instance: What it has itself under some of them.
    """

    path: tuple[str, ...]
    forward: Any
    of_class: Mapping[str, Any]
    of_instance: Mapping[str, Any]

    @classmethod
    def of(cls, model: Any, path: tuple[str, ...], names: frozenset[str], find: FindReplaced) -> MethodsRead:
        """Notes what a module has now.

        Args:
            model: An instance, with all that is below it.
            path: The steps from it down to the module.
            names: The methods that were read, besides its forward.
            find: Gives a replaced forward.
        """
        module = _below(model, path)
        own = {name: find_method(module, name, find) for name in names & vars(module).keys() - {"forward"}}
        of_class = {name: getattr(type(module), name, None) for name in names | {"forward"}}
        return cls(path, find_method(module, "forward", find), of_class, own)

    def are_current(self, model: Any, find: FindReplaced) -> bool:
        """Whether the module that lies there now has the very same.

        Its class may be another one: sharding, say, has a module a subclass of its class that inherits all of these.
        """
        try:
            module = _below(model, self.path)
        except KeyError:
            return False
        if find_method(module, "forward", find) is not self.forward:
            return False
        shadowing = vars(module).keys() & self.of_class.keys() - {"forward"}
        return (
            shadowing == self.of_instance.keys()
            and all(find_method(module, name, find) is self.of_instance[name] for name in shadowing)
            and _have(type(module), self.of_class)
        )


@dataclass(frozen=True)
class FunctionsRead:
    """All functions that an extractor was compiled from.

    Attributes:
        modules: Those of the model, and of each module on the way to the first norm.
        forwards: The forwards of the classes of its submodules that were read.
        plain: Plain functions: the namespace in which each was looked up, and those in it by name.
        find: Gives a replaced forward.
    """

    modules: tuple[MethodsRead, ...]
    forwards: tuple[tuple[Any, Any], ...] = field(repr=False)
    plain: tuple[tuple[Mapping[str, Any], Mapping[str, Any]], ...] = field(repr=False)
    find: FindReplaced = field(repr=False)

    def are_current(self, model: Any, find: FindReplaced | None = None) -> bool:
        """Whether a model would still be compiled from the same.

        Args:
            model: A live model.
            find: Gives a replaced forward; None asks what was asked then.
        """
        return (
            all(one.are_current(model, find or self.find) for one in self.modules)
            and all(owner.forward is forward for owner, forward in self.forwards)
            and all(space.get(name) is was for space, functions in self.plain for name, was in functions.items())
        )


def _below(module: Any, path: tuple[str, ...]) -> Any:
    # `get_submodule` takes longer than all else here.
    for step in path:
        module = module._modules[step]
    return module


def _have(owner: type, methods: Mapping[str, Any]) -> bool:
    # Of a class method there is a new object at each look, so this is no `is`.
    return all(getattr(owner, name, None) == was for name, was in methods.items())
