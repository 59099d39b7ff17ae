"""load: Python source -> extractor. Compiles the text under a readable name that tracebacks and debuggers can show."""

from __future__ import annotations

import hashlib
import itertools
import linecache
import sys
from types import FunctionType, ModuleType
from typing import Any

from teaspec.compiler.forms.extractor import CompiledExtractor
from teaspec.compiler.forms.functions import FunctionsRead
from teaspec.compiler.forms.program import Program
from teaspec.compiler.forms.source import FunctionSource

_numbers = itertools.count()


class LiveClosure:
    """The names that a function takes from the function around it, read when they are asked for."""

    def __init__(self, function: FunctionType) -> None:
        """Reads the closure of `function`."""
        cells = function.__closure__ or ()
        self._cells = dict(zip(function.__code__.co_freevars, cells, strict=True))

    def __getattribute__(self, name: str) -> Any:
        cells = object.__getattribute__(self, "_cells")
        if name in cells:  # before anything an object has anyway: `__class__` is a name of closures
            return cells[name].cell_contents
        return object.__getattribute__(self, name)


def load(
    source: str, program: Program, closures: dict[str, FunctionSource], functions: FunctionsRead | None = None
) -> CompiledExtractor:
    """Makes an extractor of generated source.

    Args:
        source: The text that `emit` wrote.
        program: What it was written from.
        closures: The functions whose closures the text reads, by the name under which it does.
        functions: The functions of the live model that it was compiled from.
    """
    digest = hashlib.sha256(source.encode()).hexdigest()[:8]
    file = f"<teaspec extractor of {program.class_name} {digest}>"
    linecache.cache[file] = (len(source), None, source.splitlines(keepends=True), file)
    module = ModuleType(f"teaspec.extractors.{program.class_name}_{next(_numbers)}")
    namespace: dict[str, Any] = vars(module)
    namespace["__file__"] = file
    namespace |= {name: LiveClosure(function.function) for name, function in closures.items()}
    exec(compile(source, file, "exec"), namespace)
    for function in (program.extract, program.dispatch):
        if function is not None:
            # The very objects: a default may be a list that the forward appends to.
            made = namespace[function.name]
            made.__defaults__ = function.source.function.__defaults__
            made.__kwdefaults__ = function.source.function.__kwdefaults__
            made.__qualname__ = function.source.function.__qualname__  # what a TypeError about arguments names
    # torch.compile looks up a function's globals by the name of its module.
    sys.modules[module.__name__] = module
    return CompiledExtractor(source, program, file, namespace["extractor"], functions)
