"""An instance of a class whose constructor is not explained: on the meta device, where size costs nothing."""

from __future__ import annotations

import inspect
import linecache
import re
import types
import typing
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import nn

_ATTEMPTS = 12


class ConstructionError(Exception):
    """No instance can be made: the constructor needs what nobody can guess.

    Attributes:
        arguments: The arguments that are missing, as far as that is known.
    """

    def __init__(self, message: str, arguments: tuple[str, ...] = ()) -> None:
        """Takes the sentence for people and the arguments."""
        super().__init__(message)
        self.arguments = arguments


def build_on_meta(model_class: type[nn.Module], config: Mapping[str, Any]) -> nn.Module:
    """An instance without numbers: what it is made of shows, and nothing is computed or stored."""
    with torch.device("meta"):
        return model_class(**config)


def guess_config(model_class: type[nn.Module]) -> dict[str, Any]:
    """The fewest constructor arguments with which the class can be built.

    Arguments with a default keep it, until the constructor fails on a line that reads one that is None.

    Args:
        model_class: Whose constructor is read.

    Raises:
        ConstructionError: The constructor needs something that cannot be guessed.
    """
    parameters = constructor_parameters(model_class)
    config: dict[str, Any] = {}
    for name, parameter in parameters.items():
        if parameter.default is inspect.Parameter.empty:
            config[name] = guess_argument(name, _annotation(model_class, parameter))
    unknown = tuple(name for name, value in config.items() if value is None)
    if unknown:
        given = ", ".join(f"`{name}`" for name in unknown)
        raise ConstructionError(f"{model_class.__name__} needs constructor arguments to be given: {given}", unknown)
    for _ in range(_ATTEMPTS):
        try:
            build_on_meta(model_class, config)
            return config
        except Exception as error:
            suspects = [
                name
                for name in _suspects(error, parameters)
                if name not in config and guess_argument(name, _annotation(model_class, parameters[name])) is not None
            ]
            if not suspects:
                message = f"{model_class.__name__} cannot be built: {type(error).__name__}: {error}"
                raise ConstructionError(message, tuple(config)) from error
            config[suspects[0]] = guess_argument(suspects[0], _annotation(model_class, parameters[suspects[0]]))
    raise ConstructionError(f"{model_class.__name__} cannot be built with any guess", tuple(config))


def constructor_parameters(model_class: type[nn.Module]) -> dict[str, inspect.Parameter]:
    """The parameters of the constructor that can be given by keyword, without `self`."""
    kinds = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    every = list(inspect.signature(model_class.__init__).parameters.values())[1:]
    return {parameter.name: parameter for parameter in every if parameter.kind in kinds}


def guess_argument(name: str, annotation: Any) -> Any:
    """A likely value of a constructor argument, by its name and annotation; None where neither tells."""
    kinds = set(_kinds(annotation))
    if int in kinds or (not kinds and _COUNT.search(name)):
        return next((value for pattern, value in _NUMBERS if pattern.search(name)), 32)
    if bool in kinds:
        return False
    if float in kinds:
        return 1.0
    if kinds & {list, tuple}:
        return next(([*value] for pattern, value in _LISTS if pattern.search(name)), None)
    return None


_COUNT = re.compile(r"(layers|blocks|heads|channels|dim|size|depth|width|features)$|^num_|^n_")
_LISTS = [
    (re.compile(r"ax[ei]s|rope"), (4, 4, 4)),
    (re.compile(r"patch"), (1, 2, 2)),
    (re.compile(r"layers|blocks"), (0, 1)),
    (re.compile(r"channels|dim"), (32, 32)),
]
_NUMBERS = [
    (re.compile(pattern), value)
    for pattern, value in (
        (r"patch", 2), (r"channels|in_dim|out_dim", 32), (r"layers|blocks|depth", 2), (r"heads", 2), (r"groups", 4),
        (r"head_dim", 16), (r"sample_size|height|width|length|frames|size$", 8),
    )
]  # fmt: skip


def _annotation(model_class: type[nn.Module], parameter: inspect.Parameter) -> Any:
    if not isinstance(parameter.annotation, str):
        return parameter.annotation
    function = inspect.unwrap(model_class.__init__)
    try:
        return typing.get_type_hints(function).get(parameter.name, parameter.annotation)
    except Exception:  # an annotation may name what is not there at run time
        return parameter.annotation


def _kinds(annotation: Any) -> Iterator[type]:
    """The plain types an annotation allows."""
    if annotation in (inspect.Parameter.empty, type(None)):
        return
    origin = typing.get_origin(annotation)
    if origin in (typing.Union, types.UnionType):
        for part in typing.get_args(annotation):
            yield from _kinds(part)
    elif isinstance(origin or annotation, type):
        yield origin or annotation


def _suspects(error: Exception, parameters: Mapping[str, inspect.Parameter]) -> list[str]:
    """The arguments that are None and stand on the line of a constructor that failed, or in the error's message."""
    found: list[str] = []
    trace = error.__traceback__
    while trace is not None:
        frame = trace.tb_frame
        if frame.f_code.co_name == "__init__":
            start = trace.tb_lineno
            text = "".join(linecache.getline(frame.f_code.co_filename, start + more) for more in range(12))
            line = linecache.getline(frame.f_code.co_filename, start)
            # a call over several lines is reported at its first
            read = _words(text if line.rstrip().endswith("(") else line)
            found = [n for n in parameters if n in read and frame.f_locals.get(n, 0) is None] or found
        trace = trace.tb_next
    named = [n for n in parameters if n in _words(str(error)) and parameters[n].default is None]
    return found or named[:1]


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", text))
