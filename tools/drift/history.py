"""Writes down what came and went with the versions of diffusers: `python -m tools.drift.history [FOLDER]`.

Reads the source of each supported minor version and imports none: the transformers, the parameters of their
constructors and forwards, what the calls of submodules are bound to, and the classes beside them. What all versions of
a class have alike is left out.
"""

from __future__ import annotations

import ast
import json
import re
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from teaspec.versions.history import FILE, Kind
from tools.drift.environments import install, minor_versions

Names = dict[str, set[str]]
"""Kind to names."""


def main() -> None:
    """Writes the file."""
    with tempfile.TemporaryDirectory(prefix="teaspec-drift-") as scratch:
        folder = Path(sys.argv[1] if len(sys.argv) > 1 else scratch)
        seen = {
            ".".join(version.split(".")[:2]): classes_of(install(version, folder) / "diffusers")
            for version in minor_versions()
        }
    FILE.write_text(as_text(seen), encoding="utf-8")


def classes_of(package: Path) -> dict[str, Names]:
    """The transformers of one version, each with its names.

    Args:
        package: The folder of diffusers.
    """
    found: dict[str, Names] = {}
    for file in sorted((package / "models" / "transformers").glob("*.py")):
        tree = ast.parse(file.read_text(encoding="utf-8"))
        classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
        models = {name for name, node in classes.items() if _is_model(node, classes)}
        for name in models:
            found[name] = {
                "config": set(_parameters(classes[name], "__init__", classes)),
                "inputs": set(_parameters(classes[name], "forward", classes)),
                "calls": set(_bindings(classes[name])),
                "objects": set(classes) - models,
            }
    return found


def as_text(seen: Mapping[str, Mapping[str, Names]]) -> str:
    """The file: one line for each class.

    Args:
        seen: Minor version to its classes, the oldest first.
    """
    versions = list(seen)
    classes = sorted({name for of_version in seen.values() for name in of_version})
    lines = ",\n".join(f"  {json.dumps(name)}: {json.dumps(_history(name, seen))}" for name in classes)
    return f'{{"versions": {json.dumps(versions)}, "classes": {{\n{lines}\n}}}}\n'


def _history(name: str, seen: Mapping[str, Mapping[str, Names]]) -> dict[str, Any]:
    there = {version: classes[name] for version, classes in seen.items() if name in classes}
    history: dict[str, Any] = {"there": _span(list(there), list(seen))}
    for kind in get_args(Kind):
        every = set().union(*(names[kind] for names in there.values()))
        moved = {
            one: _span([version for version, names in there.items() if one in names[kind]], list(seen))
            for one in sorted(every)
            if not all(one in names[kind] for names in there.values())
        }
        if moved:
            history[kind] = moved
    return history


def _span(versions: list[str], every: list[str]) -> str:
    """The first and the last of some versions; what went and came again would need another form."""
    first, last = every.index(versions[0]), every.index(versions[-1])
    if every[first : last + 1] != versions:
        raise ValueError(f"no single span of versions: {versions}")
    return f"{versions[0]}-{versions[-1]}"


def _is_model(node: ast.ClassDef, classes: Mapping[str, ast.ClassDef]) -> bool:
    return any(base.endswith("ModelMixin") for base in _bases(node, classes))


def _bases(node: ast.ClassDef, classes: Mapping[str, ast.ClassDef]) -> Iterator[str]:
    """The names of the classes that a class is made of, as far as one file tells."""
    for base in node.bases:
        name = ast.unparse(base).rpartition(".")[2]
        yield name
        if name in classes and name != node.name:  # an imported class may be extended under its own name
            yield from _bases(classes[name], classes)


def _parameters(node: ast.ClassDef, method: str, classes: Mapping[str, ast.ClassDef]) -> Iterator[str]:
    own = next((one for one in node.body if isinstance(one, ast.FunctionDef) and one.name == method), None)
    if own is not None:
        arguments = [*own.args.posonlyargs, *own.args.args, *own.args.kwonlyargs][1:]
        yield from (argument.arg for argument in arguments)
        return
    base = next((name for name in _bases(node, classes) if name in classes and name != node.name), None)
    if base is not None:
        yield from _parameters(classes[base], method, classes)


def _bindings(node: ast.ClassDef) -> Iterator[str]:
    """What the model binds the result of a submodule's call to, as `embed` writes it: `time_embed -> temb`."""
    methods = {one.name for one in node.body if isinstance(one, ast.FunctionDef)}
    for statement in ast.walk(node):
        if not isinstance(statement, (ast.Assign, ast.AnnAssign)) or statement.value is None:
            continue
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        names = [one.id for target in targets for one in ast.walk(target) if isinstance(one, ast.Name)]
        called = [ast.unparse(one.func) for one in ast.walk(statement.value) if isinstance(one, ast.Call)]
        paths = [path.removeprefix("self.") for path in called if re.fullmatch(r"self(\.\w+)+", path)]
        yield from (f"{path} -> {name}" for path in paths if path not in methods for name in names)


if __name__ == "__main__":
    main()
