"""Files that a command is given, and what keeps them from being read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from teaspec.cli.refusals import refuse
from teaspec.cli.root import EXIT_USAGE

if TYPE_CHECKING:
    from teaspec.catalog.found import UserSpec
    from teaspec.compiler.forms.spec import Spec


def find_all() -> list[UserSpec]:
    """The shipped specs and those of users, by names that are short where they can be."""
    from teaspec.catalog import shipped_specs
    from teaspec.catalog.found import UserSpec, find_user_specs

    here = Path.cwd()
    found = [*(UserSpec(path, ()) for path in shipped_specs()), *find_user_specs()]
    return [replace(one, path=one.path.relative_to(here)) if one.path.is_relative_to(here) else one for one in found]


def find_spec(named: Path) -> UserSpec:
    """The spec that is meant: a file, or that of a class that has one.

    Args:
        named: What was named on the command line.
    """
    from teaspec.catalog import SpecExtractor
    from teaspec.catalog.found import UserSpec, find_user_specs
    from teaspec.runtime.calibrations.registry import get_extractor, known_types

    is_class = named.name.isidentifier() and len(named.parts) == 1 and not named.exists()
    extractor = get_extractor(named.name) if is_class and named.name in known_types() else None
    if not isinstance(extractor, SpecExtractor):
        return UserSpec(named, ())
    allow = next((one.allow for one in find_user_specs() if one.path == extractor.path), ())
    return UserSpec(extractor.path, allow)


def find_problem(path: Path) -> str | None:
    """What keeps a path from being read as a spec, or None.

    Args:
        path: What was named on the command line.
    """
    from teaspec.compiler.passes.read import MAX_CHARACTERS
    from teaspec.compiler.report import did_you_mean

    if path.is_dir():
        return f"{path} is a folder; name the files in it, for example {path / '*.yaml'}"
    if not path.exists():
        near = did_you_mean(path.name, [*(other.name for other in path.parent.glob("*.yaml")), *_classes(path)])
        return f"{path}: no such file" + (f"; {near[0]}" if near else "")
    if not path.is_file():
        return f"{path} is no file; a spec is read more than once"
    try:
        with path.open(encoding="utf-8") as file:
            file.read(MAX_CHARACTERS)
    except UnicodeDecodeError as error:
        return f"{path} is not text in UTF-8: byte {error.start} cannot be read"
    except OSError as error:
        return f"{path} cannot be read: {error.strerror}"
    return None


def _classes(path: Path) -> tuple[str, ...]:
    """The classes that a name without folder and ending can mean."""
    from teaspec.runtime.calibrations.registry import known_types

    return known_types() if path.name.isidentifier() and len(path.parts) == 1 else ()


def require_readable(path: Path) -> None:
    """Ends the command where a path cannot be read as a spec.

    Args:
        path: What was named on the command line.
    """
    problem = find_problem(path)
    if problem is not None:
        refuse(problem, EXIT_USAGE)


def load_for_case(path: Path, case: int) -> Spec:
    """Loads a spec of which one config of the probe is wanted.

    Args:
        path: Its file.
        case: Which config: 0 for the base.

    Raises:
        SpecError: The file holds no valid spec.
        typer.BadParameter: The probe has no such case.
    """
    from teaspec.compiler import load_spec

    spec = load_spec(path)
    if case > len(spec.probe.cases):
        raise typer.BadParameter(f"the probe has {len(spec.probe.cases)} cases", param_hint="--case")
    return spec
