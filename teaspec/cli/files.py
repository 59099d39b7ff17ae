"""Files that a command is given, and what keeps them from being read."""

from __future__ import annotations

from pathlib import Path

from teaspec.cli.refusals import refuse
from teaspec.cli.root import EXIT_USAGE


def find_shipped() -> list[Path]:
    """The shipped specs, by names that are short where they can be."""
    from teaspec.catalog import shipped_specs

    here = Path.cwd()
    return [path.relative_to(here) if path.is_relative_to(here) else path for path in shipped_specs()]


def find_problem(path: Path) -> str | None:
    """What keeps a path from being read as a spec, or None.

    Args:
        path: What was named on the command line.
    """
    from teaspec.compiler.report import did_you_mean

    if path.is_dir():
        return f"{path} is a folder; name the files in it, for example {path / '*.yaml'}"
    if not path.exists():
        near = did_you_mean(path.name, [other.name for other in path.parent.glob("*.yaml")])
        return f"{path}: no such file" + (f"; {near[0]}" if near else "")
    try:
        path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        return f"{path} is not text in UTF-8: byte {error.start} cannot be read"
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    return None


def require_readable(path: Path) -> None:
    """Ends the command where a path cannot be read as a spec.

    Args:
        path: What was named on the command line.
    """
    problem = find_problem(path)
    if problem is not None:
        refuse(problem, EXIT_USAGE)
