"""From the location of an error in a form to the path of its cause in the document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from teaspec.compiler.forms.document import Document, Key, Path
from teaspec.compiler.forms.frozen import SYNTHETIC

_KEY_OF_MAPPING = "[key]"


@dataclass(frozen=True)
class Location:
    """Where an error belongs in the document.

    Attributes:
        path: The longest part of the location that the document has.
        rest: What follows it: the steps that the document does not have.
        is_key: Whether the error is about the key, not the value.
    """

    path: Path
    rest: Path
    is_key: bool = False


def locate_in(document: Document, keys: Sequence[Key]) -> Location:
    """Follows a location through the document.

    A short form has fewer keys in the document than in the form it stands for (`[batch]` for `{tensor: [batch]}`);
    such keys are passed over.

    Args:
        document: The document that was checked.
        keys: The location as pydantic gives it, or as a walk over the forms does.
    """
    is_key = bool(keys) and keys[-1] == _KEY_OF_MAPPING
    real = [key for key in (keys[:-1] if is_key else keys) if not str(key).startswith(SYNTHETIC)]
    path: Path = ()
    value: Any = document.data
    rest: list[Key] = []
    for key in real:
        spelling = _find(value, key)
        if spelling is None:
            rest.append(key)
        else:
            value = value[spelling]
            path = (*path, spelling)
            rest.clear()
    return Location(path, tuple(rest), is_key)


def _find(value: Any, key: Key) -> Key | None:
    if isinstance(value, list):
        return key if isinstance(key, int) and key < len(value) else None
    if isinstance(value, dict):
        return next((spelling for spelling in (key, f"{key}?") if spelling in value), None)
    return None
