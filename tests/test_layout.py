"""What the code must not contain: models in the compiler or the runtime, code in the specs."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import diffusers
import grimp
import pytest

from teaspec.compiler import load_spec

ROOT = Path(__file__).parents[1]
PARTS = ("compiler", "runtime")
SOURCES = sorted(path for part in PARTS for path in (ROOT / "teaspec" / part).rglob("*.py"))
TEMPLATES = sorted((ROOT / "teaspec").rglob("*.j2"))
SPECS = sorted((ROOT / "specs").glob("*.yaml"))


def class_names() -> set[str]:
    """The classes that diffusers' transformers are made of, as far as their names are not words of everyday use."""
    folder = Path(diffusers.__file__).parent / "models" / "transformers"
    names = {
        node.name
        for file in folder.glob("*.py")
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.ClassDef)
    }
    return {name for name in names if re.search(r"[a-z].*[A-Z]|\d", name)}


CLASSES = class_names()


def words(tree: ast.AST) -> Iterator[tuple[str, int]]:
    """Names and the words in string literals, docstrings left out, with their lines."""
    documentation = {
        id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            yield from ((word, node.lineno) for word in re.findall(r"\w+", node.value))
        elif isinstance(node, ast.Name):
            yield node.id, node.lineno
        elif isinstance(node, ast.Attribute):
            yield node.attr, node.lineno
        elif isinstance(node, ast.alias):
            yield from ((word, node.lineno) for word in re.findall(r"\w+", node.name))


def models_in(text: str) -> list[tuple[str, int]]:
    found = [(word, line) for word, line in words(ast.parse(text)) if word in CLASSES]
    return sorted(found, key=lambda place: place[1])


def test_models_are_recognised():
    assert len(CLASSES) > 200
    assert {load_spec(path).class_name for path in SPECS} <= CLASSES
    text = (
        '"""FluxTransformer2DModel."""\nfrom diffusers import WanTransformer3DModel\n'
        'if name == "SD3Transformer2DModel":\n'
        '    x = f"a {y} LTXVideoTransformer3DModel"\nz = diffusers.FluxTransformerBlock\n"""HiDreamBlock"""\n'
    )
    assert models_in(text) == [
        ("WanTransformer3DModel", 2),
        ("SD3Transformer2DModel", 3),
        ("LTXVideoTransformer3DModel", 4),
        ("FluxTransformerBlock", 5),
    ]


@pytest.mark.parametrize("part", PARTS)
def test_no_code_names_a_model(part):
    files = [path for path in SOURCES if path.is_relative_to(ROOT / "teaspec" / part)]
    assert len(files) > 10
    found = {path.name: models_in(path.read_text(encoding="utf-8")) for path in files}
    assert {name: places for name, places in found.items() if places} == {}


def test_no_template_names_a_model():
    assert TEMPLATES
    assert not {word for path in TEMPLATES for word in re.findall(r"\w+", path.read_text(encoding="utf-8"))} & CLASSES


def class_questions(text: str) -> list[int]:
    """The lines of `x.__name__ == "Literal"`, `class_name in {"Literal"}` and the like."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Compare):
            sides = [node.left, *node.comparators]
            asks = any(getattr(s, "attr", getattr(s, "id", "")) in {"__name__", "class_name"} for s in sides)
            literal = any(isinstance(n, ast.Constant) for s in sides for n in ast.walk(s))
            found += [node.lineno] if asks and literal else []
    return found


def test_questions_for_a_class_name_are_recognised():
    asked = 'cls.__name__ == "A"\nclass_name in {"A", "B"}\n"A" != x.class_name\n'
    assert class_questions(asked + "cls.__name__ == spec.name\nname == 'A'\n") == [1, 2, 3]


def test_nothing_asks_for_the_name_of_a_class_to_decide():
    found = {path.name: class_questions(path.read_text(encoding="utf-8")) for path in SOURCES}
    assert {name: lines for name, lines in found.items() if lines} == {}


def circles(package: str) -> list[set[str]]:
    """The modules that import each other in a circle, also where the import is there for types alone."""
    graph = grimp.build_graph(package, exclude_type_checking_imports=False)
    found = []
    for module in sorted(graph.modules):
        if any(module in circle for circle in found):
            continue
        below, above = graph.find_upstream_modules(module), graph.find_downstream_modules(module)
        if below & above:
            found.append(below & above | {module})
    return found


def test_circles_are_recognised(tmp_path, monkeypatch):
    folder = tmp_path / "going_round"
    folder.mkdir()
    for name, imported in (("a", "b"), ("b", "c"), ("c", "a"), ("d", "a")):
        text = f"from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from going_round.{imported} import x\n"
        (folder / f"{name}.py").write_text(text)
    (folder / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert circles("going_round") == [{f"going_round.{name}" for name in "abc"}]


def test_no_modules_import_each_other_in_a_circle():
    assert circles("teaspec") == []


def test_the_runtime_has_few_doors_beside_its_rooms():
    runtime = ROOT / "teaspec" / "runtime"
    assert len([path for path in runtime.iterdir() if path.suffix == ".py"]) <= 12
    assert all((room / "__init__.py").read_text(encoding="utf-8").startswith('"""') for room in runtime.glob("[a-z]*/"))


def prints_and_exits(text: str) -> list[int]:
    """The lines that print, exit, or import what only a command line needs."""
    found = []
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in {"print", "exit", "quit", "sys.exit", "os._exit"} or re.match(r"sys\.std(out|err)\b", called):
                found.append(node.lineno)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            modules = [getattr(node, "module", None) or "", *(alias.name for alias in node.names)]
            found += [node.lineno] if "typer" in modules else []
    return sorted(found)


def test_printing_and_exiting_is_recognised():
    text = (
        "print(1)\nsys.exit(2)\nsys.stdout.write('x')\nimport typer\nfrom typer import echo\nprinter.print_it(exit)\n"
    )
    assert prints_and_exits(text) == [1, 2, 3, 4, 5]


def test_only_the_command_line_prints_or_exits():
    package = ROOT / "teaspec"
    files = [path for path in package.rglob("*.py") if not path.is_relative_to(package / "cli")]
    found = {str(path): prints_and_exits(path.read_text(encoding="utf-8")) for path in files}
    assert {name: lines for name, lines in found.items() if lines} == {}


def scalars(value: object, *path: str) -> Iterator[tuple[tuple[str, ...], object]]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from scalars(item, *path, str(key))
    elif isinstance(value, list):
        for item in value:
            yield from scalars(item, *path)
    else:
        yield path, value


PROSE = {"source", "note", "frozen"}
DATA = (ast.Expression, ast.Name, ast.Attribute, ast.Constant, ast.BinOp, ast.operator, ast.expr_context)


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_specs_hold_no_code(path):
    """One line a value; and no value but names, paths, numbers and sums and products of sizes."""
    for place, value in scalars(load_spec(path).document.data):
        if not isinstance(value, str):
            continue
        assert "\n" not in value, place
        is_pattern = "match" in place  # compared with texts, by `fnmatch`
        is_prose = place[-1] in PROSE or place[:2] == ("probe", "untried")
        if not is_prose and not is_pattern and place[0] not in ("norm", "bypass"):
            expression = ast.parse(value.replace(" -> ", " - ").replace(" or ", " - ").replace(":", "."), mode="eval")
            assert [type(n).__name__ for n in ast.walk(expression) if not isinstance(n, DATA)] == [], place


def test_specs_are_all_that_lies_beside_the_schema():
    others = [path.name for path in (ROOT / "specs").rglob("*") if path.is_file() and path.suffix != ".yaml"]
    assert all(name.endswith(".json") for name in others)
