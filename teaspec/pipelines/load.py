"""Where a pipeline comes from: a folder of diffusers, or a function of the user's."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from teaspec.pipelines.generate import generate

Run = Callable[..., Any]


@dataclass(frozen=True, eq=False)
class Source:
    """A pipeline and how it is run.

    Attributes:
        pipeline: The pipeline, which holds the transformer.
        run: `run(prompt, seed=..., num_inference_steps=..., **arguments)`; returns what the pipeline does.
    """

    pipeline: Any
    run: Run


def load_pipeline(where: str, device: str = "cpu", dtype: torch.dtype | None = None, result: str = "latent") -> Source:
    """Loads a pipeline: a folder of diffusers, or what a function of the user's returns.

    Args:
        where: A folder of a diffusers pipeline; or `module:function`, which takes nothing and returns a pipeline, or
            one and its further arguments (a dict), or one and a function that runs it:
            `run(prompt, *, seed, num_inference_steps, **arguments)`.
        device: Where a folder's pipeline runs.
        dtype: Of its weights; None leaves them as they are.
        result: The `output_type` of a pipeline that takes one, where nobody names another.

    Raises:
        ValueError: If there is no such folder, module or function, or it returns something else.
    """
    if Path(where).is_dir():
        from diffusers import DiffusionPipeline

        try:
            loaded: Any = DiffusionPipeline.from_pretrained(where, torch_dtype=dtype)
        except OSError as error:
            raise ValueError(f"{where} is no folder of a diffusers pipeline: {error}") from error
        return _source(loaded.to(device), {}, result)
    return _made(_find_function(where)(), result)


def _find_function(where: str) -> Callable[[], Any]:
    module, colon, function = where.partition(":")
    if not colon:
        raise ValueError(f"{where}: no such folder; give a diffusers model folder, or module:function")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # as `python -m` does: the user's own module lies here
    try:
        found: Callable[[], Any] = getattr(importlib.import_module(module), function)
    except ModuleNotFoundError as error:
        raise ValueError(f"{where}: no module named {error.name!r}") from error
    except AttributeError as error:
        raise ValueError(f"{where}: {module} has no {function!r}") from error
    if not callable(found):
        raise ValueError(f"{where}: a function that returns a pipeline is called; found a {type(found).__name__}")
    return found


def _made(made: Any, result: str) -> Source:
    if not isinstance(made, tuple):
        return _source(made, {}, result)
    if len(made) == 2 and isinstance(made[1], Mapping):
        return _source(made[0], made[1], result)
    if len(made) == 2 and callable(made[1]):
        return Source(*made)
    raise ValueError(
        "a loader returns a pipeline, or (pipeline, arguments as a dict), or (pipeline, run); found a tuple of "
        f"{', '.join(type(one).__name__ for one in made) or 'nothing'}"
    )


def _source(pipeline: Any, arguments: Mapping[str, Any], result: str) -> Source:
    if not callable(pipeline):
        raise ValueError(f"a pipeline is called with a prompt; found a {type(pipeline).__name__}, which cannot be")
    return Source(pipeline, partial(generate, pipeline, result=result, **arguments))
