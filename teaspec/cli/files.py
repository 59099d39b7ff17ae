"""Files that a command is given, and what keeps them from being read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from teaspec.cli.refusals import refuse
from teaspec.cli.root import EXIT_USAGE

if TYPE_CHECKING:
    from teaspec.catalog import SpecExtractor
    from teaspec.catalog.found import UserSpec
    from teaspec.compiler.forms.spec import Spec


def find_all() -> list[UserSpec]:
    """The shipped specs and those of users, by names that are short where they can be."""
    from teaspec.catalog import shipped_specs
    from teaspec.catalog.found import UserSpec, find_user_specs

    here = Path.cwd()
    found = [*(UserSpec(path, ()) for path in shipped_specs()), *find_user_specs()]
    return [replace(one, path=one.path.relative_to(here)) if one.path.is_relative_to(here) else one for one in found]


def is_shipped(path: Path) -> bool:
    """Whether a spec is one of those that come with teaspec.

    Args:
        path: Its file.
    """
    from teaspec.catalog import shipped_folder

    return path.resolve().parent == shipped_folder().resolve()


def find_spec(named: Path) -> UserSpec:
    """The spec that is meant, however it is named.

    Args:
        named: What was named on the command line: a file; the name of a spec (`flux`); or a class that has one, alone
            or as `package.Class`, `package.module.Class` or `package.module:Class`.

    Returns:
        The spec, or where there is none what was named, as a file.
    """
    from teaspec.catalog import SpecExtractor
    from teaspec.catalog.found import UserSpec, find_user_specs
    from teaspec.runtime.calibrations.registry import get_extractor, known_types

    if named.exists() or len(named.parts) != 1:
        return UserSpec(named, ())
    by_name = {one.path.stem: one for one in find_all()}
    if named.name in by_name:
        return by_name[named.name]
    package, _, class_name = named.name.replace(":", ".").rpartition(".")
    extractor = get_extractor(class_name) if class_name in known_types() else None
    if not isinstance(extractor, SpecExtractor) or not _is_of(extractor, package):
        return UserSpec(named, ())
    allow = next((one.allow for one in find_user_specs() if one.path == extractor.path), ())
    return UserSpec(extractor.path, allow)


def _is_of(extractor: SpecExtractor, package: str) -> bool:
    """Whether a spec is about a class of a package, and not about another one of the same name."""
    top = package.partition(".")[0]
    return not top or top == extractor.spec.model.replace(":", ".").partition(".")[0]


def find_model(named: str) -> str:
    """The import path of the class that is meant, however it is named.

    Args:
        named: What `find_spec` takes; a class without a package that has no spec is one of diffusers.

    Raises:
        SpecError: It is a spec with mistakes.
    """
    path = find_spec(Path(named)).path
    if path.is_file():
        from teaspec.compiler import load_spec

        return load_spec(path).model
    return f"diffusers.{named}" if named.isidentifier() else named


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
        near = did_you_mean(
            path.name,
            [*(other.name for other in path.parent.glob("*.yaml")), *(spec_names() if _is_bare(path) else ())],
        )
        return f"{path}: no such file{_or_class(path)}" + (f"; {near[0]}" if near else "")
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


def spec_names() -> tuple[str, ...]:
    """The names by which specs are found, beside those of their files: classes, and files without their ending."""
    from teaspec.runtime.calibrations.registry import known_types

    return (*known_types(), *(one.path.stem for one in find_all()))


def _or_class(path: Path) -> str:
    """What else a name would have meant."""
    return ", spec or class that has one" if _is_bare(path) else ""


def _is_bare(path: Path) -> bool:
    return len(path.parts) == 1 and path.suffix != ".yaml"


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
