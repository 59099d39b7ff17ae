"""The compiler, in the order of its passes.

read       YAML text      -> document
check      document       -> spec
resolve    spec + module  -> model source
inline     model source   -> model source
locate     model source   -> landmarks
arguments  landmarks      -> call arguments
slice      landmarks      -> program
emit       program        -> Python source
load       Python source  -> extractor
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from teaspec.compiler.analysis.source.functions_read import functions_read
from teaspec.compiler.analysis.writing.spelling import as_written_out
from teaspec.compiler.cache import ExtractorCache
from teaspec.compiler.forms.extractor import CompiledExtractor
from teaspec.compiler.forms.functions import FindReplaced, find_replaced
from teaspec.compiler.forms.spec import Spec
from teaspec.compiler.passes.arguments import tell_arguments
from teaspec.compiler.passes.check import check
from teaspec.compiler.passes.emit import emit
from teaspec.compiler.passes.inline import inline
from teaspec.compiler.passes.load import load
from teaspec.compiler.passes.locate import locate
from teaspec.compiler.passes.read import MAX_BYTES, read
from teaspec.compiler.passes.resolve import block_structure, resolve
from teaspec.compiler.passes.slice import slice_forward
from teaspec.compiler.rules.embedding import as_bound_here

if TYPE_CHECKING:
    import torch

_cache = ExtractorCache()


def load_spec(path_or_text: str | Path) -> Spec:
    """Reads and checks a spec.

    Args:
        path_or_text: A path, or the YAML itself (anything that holds a line break).

    Returns:
        The spec, as frozen data.

    Raises:
        SpecError: The text is no valid spec.
        OSError: The file cannot be read.
    """
    if isinstance(path_or_text, str) and "\n" in path_or_text:
        return check(read(path_or_text, "<spec>"))
    path = Path(path_or_text)
    with path.open("rb") as file:
        content = file.read(MAX_BYTES)  # of a file of any size, enough to see that it is too large
    # Bytes that are no text become characters that `read` refuses with their place.
    return check(read(content.decode("utf-8", errors="surrogateescape"), str(path_or_text)))


def compile_spec(spec: Spec, module: torch.nn.Module, *, replaced: FindReplaced = find_replaced) -> CompiledExtractor:
    """Compiles a spec for a model.

    The result depends on the module's class, on the classes of its first block and on the functions that these have as
    their methods, not on weights or sizes: it is made once for each of these and kept. Where a method was replaced
    since, on the class or on the instance, the spec is compiled anew. Safe to call from several threads.

    Args:
        spec: A checked spec.
        module: An instance of the model.
        replaced: Gives the forward that was set on a module in place of its class's, None where none was. What hooks of
            diffusers and of accelerate wrap is seen in either case, as far as they say what they wrap.

    Returns:
        The extractor: `extractor(module, *args, **kwargs) -> CacheContext`.

    Raises:
        SpecError: A landmark is not where the spec says, or the forward cannot be cut exactly.
    """
    landmarks = spec.model_dump_json(exclude={"teacache", "probe", "aliases"})
    key = (type(module), landmarks, spec.document.name, replaced, block_structure(spec, module))
    return _cache.get_or_make(
        key, lambda: compile_anew(spec, module, replaced=replaced), lambda made: made.is_current(module)
    )


def compile_anew(spec: Spec, module: torch.nn.Module, *, replaced: FindReplaced = find_replaced) -> CompiledExtractor:
    """Compiles a spec without looking for an earlier result.

    Args:
        spec: A checked spec.
        module: An instance of the model.
        replaced: As `compile_spec`.

    Raises:
        SpecError: As `compile_spec`.
    """
    resolved = resolve(spec, module, replaced)
    functions = functions_read(resolved, module, replaced)
    source = inline(spec, resolved)
    spec = as_bound_here(as_written_out(spec, source), source)
    landmarks = locate(spec, source)
    arguments = tell_arguments(spec, source, landmarks)
    program = replace(slice_forward(spec, source, landmarks), arguments=arguments)
    text = emit(program, spec.document.name)
    return load(text.text, program, text.closures, functions)
