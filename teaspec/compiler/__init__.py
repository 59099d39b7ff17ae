"""The compiler: from a spec and a model to an extractor. `pipeline.py` is the file to read first."""

from __future__ import annotations

from teaspec.compiler.forms.extractor import CompiledExtractor
from teaspec.compiler.forms.spec import Spec
from teaspec.compiler.pipeline import compile_anew, compile_spec, load_spec
from teaspec.compiler.report import Diagnostic, SpecError, render_text, to_json

__all__ = [
    "CompiledExtractor",
    "Diagnostic",
    "Spec",
    "SpecError",
    "compile_anew",
    "compile_spec",
    "load_spec",
    "render_text",
    "to_json",
]
