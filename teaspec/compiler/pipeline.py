"""The compiler, in the order of its passes.

read     YAML text      -> document
check    document       -> spec
resolve  spec + module  -> model source
inline   model source   -> model source
locate   model source   -> landmarks
slice    landmarks      -> program
emit     program        -> Python source
load     Python source  -> extractor
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from teaspec.compiler.cache import ExtractorCache
from teaspec.compiler.forms.extractor import CompiledExtractor
from teaspec.compiler.forms.spec import Spec
from teaspec.compiler.passes.check import check
from teaspec.compiler.passes.emit import emit
from teaspec.compiler.passes.inline import inline
from teaspec.compiler.passes.load import load
from teaspec.compiler.passes.locate import locate
from teaspec.compiler.passes.read import MAX_BYTES, read
from teaspec.compiler.passes.resolve import block_structure, resolve
from teaspec.compiler.passes.slice import slice_forward

if TYPE_CHECKING:
    import torch

_cache = ExtractorCache()


def load_spec(path_or_text: str | Path) -> Spec:
    """Read and check a spec.

    Args:
        path_or_text: A path, or the YAML itself (anything that holds a line break).

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


def compile_spec(spec: Spec, module: torch.nn.Module) -> CompiledExtractor:
    """Compile a spec for a model.

    The result depends on the module's class and on the classes of its first block, not on its weights or sizes: it is
    made once for each of these and kept. Safe to call from several threads.

    Args:
        spec: A checked spec.
        module: An instance of the model.

    Returns:
        The extractor: `extractor(module, *args, **kwargs) -> CacheContext`.

    Raises:
        SpecError: A landmark is not where the spec says, or the forward cannot be cut exactly.
    """
    landmarks = spec.model_dump_json(exclude={"teacache", "probe", "bypass", "aliases"})
    key = (type(module), landmarks, spec.document.name, block_structure(spec, module))
    return _cache.get_or_make(key, lambda: compile_anew(spec, module))


def compile_anew(spec: Spec, module: torch.nn.Module) -> CompiledExtractor:
    """Compile a spec without looking for an earlier result.

    Args:
        spec: A checked spec.
        module: An instance of the model.

    Raises:
        SpecError: As `compile_spec`.
    """
    source = inline(spec, resolve(spec, module))
    landmarks = locate(spec, source)
    program = slice_forward(spec, source, landmarks)
    text = emit(program, spec.document.name)
    return load(text.text, program, text.closures)
