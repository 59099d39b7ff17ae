"""Which versions of diffusers teaspec works with. Nothing here imports it, and nothing else asks for its version."""

from __future__ import annotations

import re
import sys
from importlib import metadata

SINCE = (0, 35)
"""The oldest version, which has all that the runtime rides on: hooks, states, `cache_context`."""

BEFORE = (0, 43)
"""The first version that nobody has tried. pyproject.toml claims the same range, and a test compares the two."""

RANGE = f"diffusers >= {SINCE[0]}.{SINCE[1]}, < {BEFORE[0]}.{BEFORE[1]}"


class UnsupportedVersionError(ImportError):
    """diffusers is missing, or of a version that teaspec does not work with."""


def installed() -> str | None:
    """Returns the version of the diffusers that is imported, or else would be; None where there is none."""
    imported = getattr(sys.modules.get("diffusers"), "__version__", None)
    if imported is not None:
        return str(imported)
    try:
        return metadata.version("diffusers")
    except metadata.PackageNotFoundError:
        return None


def require_supported() -> None:
    """Refuses to go on with a diffusers that teaspec does not work with.

    Raises:
        UnsupportedVersionError: It is another one, or there is none.
    """
    found = installed()
    if found is None:
        raise UnsupportedVersionError(f'diffusers is not installed; teaspec needs {RANGE}: pip install "{_PIP}"')
    if not is_supported(found):
        raise UnsupportedVersionError(
            f'diffusers {found} is installed, and this version of teaspec supports {RANGE}: pip install "{_PIP}"'
        )


def is_supported(version: str) -> bool:
    """Returns whether a version of diffusers lies in the range; what is no version does not.

    Args:
        version: As diffusers gives it, `0.42.1` or `0.43.0.dev0`.
    """
    numbers = re.match(r"(\d+)\.(\d+)", version)
    return numbers is not None and SINCE <= (int(numbers[1]), int(numbers[2])) < BEFORE


_PIP = RANGE.replace(" ", "")
