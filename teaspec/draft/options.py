"""Options of a model that ask for what this environment has not."""

from __future__ import annotations

import ast
import inspect
import textwrap
from types import FrameType

from torch import nn

from teaspec.draft.failure import Failure
from teaspec.draft.inputs import config_of


def option_of_what_is_absent(failure: Failure, module: nn.Module) -> str | None:
    """The option of the configuration under which a forward calls a package that is not installed.

    Args:
        failure: The failed call.
        module: Whose configuration has the option.

    Returns:
        Its name; None where the call failed for another reason, or under no option that is on.
    """
    if not isinstance(failure.error, (NameError, ImportError)) or isinstance(failure.error, UnboundLocalError):
        return None
    on = {name for name, value in config_of(module).items() if value is True}
    asked = [name for frame, _ in failure.places for name in _asked_around(frame) if name in on]
    return asked[0] if asked else None


def _asked_around(frame: FrameType) -> list[str]:
    """The attributes that the branches around a frame's line ask for, the innermost first."""
    try:
        lines, first = inspect.getsourcelines(frame)
        tree = ast.parse(textwrap.dedent("".join(lines)))
    except (OSError, SyntaxError):
        return []
    line = frame.f_lineno - max(first, 1) + 1
    around = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and node.body[0].lineno <= line <= (node.body[-1].end_lineno or 0)
    ]
    around.sort(key=lambda node: -node.lineno)
    return [part.attr for node in around for part in ast.walk(node.test) if isinstance(part, ast.Attribute)]
