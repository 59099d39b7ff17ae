"""Which expression of a call becomes which parameter of the function that it calls."""

from __future__ import annotations

import ast
from collections.abc import Sequence


class UnmappableArgumentError(Exception):
    """A parameter's value cannot be told from the call's text.

    Attributes:
        parameter: What the function calls it.
        node: The call.
    """

    def __init__(self, parameter: str, node: ast.expr) -> None:
        """Names the parameter and the call."""
        super().__init__(parameter)
        self.parameter = parameter
        self.node = node


def argument_for(
    parameter: str,
    arguments: ast.arguments,
    positional: Sequence[ast.expr],
    keywords: Sequence[ast.keyword],
    call: ast.expr,
) -> ast.expr:
    """The expression that a call gives a parameter.

    Args:
        parameter: The parameter's name.
        arguments: The called function's parameters, the module itself first.
        positional: The call's positional arguments, without the module.
        keywords: The call's keyword arguments.
        call: The call, for the message.

    Raises:
        UnmappableArgumentError: It is passed by `*`, or perhaps by `**`, or left to a default that is no constant.
    """
    for keyword in keywords:
        if keyword.arg == parameter:
            return keyword.value
    names = [a.arg for a in [*arguments.posonlyargs, *arguments.args]][1:]
    if parameter in names:
        index = names.index(parameter)
        before = positional[: index + 1]
        if any(isinstance(argument, ast.Starred) for argument in before):
            raise UnmappableArgumentError(parameter, call)
        if index < len(positional):
            return positional[index]
    default = _default(parameter, arguments)
    spread = [keyword.value for keyword in keywords if keyword.arg is None]
    has_to_be_given = default is None and parameter in [*names, *(a.arg for a in arguments.kwonlyargs)]
    if len(spread) == 1 and isinstance(spread[0], ast.Name) and has_to_be_given:
        return ast.copy_location(ast.Subscript(spread[0], ast.Constant(parameter), ast.Load()), call)
    if spread:
        raise UnmappableArgumentError(parameter, call)
    if not isinstance(default, ast.Constant):
        raise UnmappableArgumentError(parameter, call)
    return default


def _default(parameter: str, arguments: ast.arguments) -> ast.expr | None:
    positional = [*arguments.posonlyargs, *arguments.args]
    for argument, default in zip(reversed(positional), reversed(arguments.defaults), strict=False):
        if argument.arg == parameter:
            return default
    for argument, keyword_default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        if argument.arg == parameter:
            return keyword_default
    return None
