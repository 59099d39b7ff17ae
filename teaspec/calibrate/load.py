"""Where the pipeline and the prompts of a calibration come from."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from teaspec.calibrate.estimator import generate

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


def load_pipeline(where: str, device: str = "cpu", dtype: torch.dtype | None = None) -> Source:
    """Loads what is to be calibrated: a folder of diffusers, or what a function of the user's returns.

    Args:
        where: A folder of a diffusers pipeline; or `module:function`, which takes nothing and returns a pipeline, or
            one and a function that runs it: `run(prompt, *, seed, num_inference_steps, **arguments)`.
        device: Where a folder's pipeline runs.
        dtype: Of its weights; None leaves them as they are.

    Raises:
        ValueError: If there is no such folder, module or function.
    """
    if Path(where).is_dir():
        from diffusers import DiffusionPipeline

        try:
            loaded: Any = DiffusionPipeline.from_pretrained(where, torch_dtype=dtype)
        except OSError as error:
            raise ValueError(f"{where} is no folder of a diffusers pipeline: {error}") from error
        return _source(loaded.to(device))
    module, colon, function = where.partition(":")
    if not colon:
        raise ValueError(f"{where}: no such folder; give a diffusers model folder, or module:function")
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))  # as `python -m` does: the user's own module lies here
    try:
        found = getattr(importlib.import_module(module), function)
    except ModuleNotFoundError as error:
        raise ValueError(f"{where}: no module named {error.name!r}") from error
    except AttributeError as error:
        raise ValueError(f"{where}: {module} has no {function!r}") from error
    made = found()
    return Source(*made) if isinstance(made, tuple) and len(made) == 2 else _source(made)


def _source(pipeline: Any) -> Source:
    if not callable(pipeline):
        raise ValueError(f"a pipeline is called with a prompt; found a {type(pipeline).__name__}, which cannot be")
    return Source(pipeline, partial(generate, pipeline))


def read_prompts(path: Path) -> list[str]:
    """Reads prompts, one a line; empty lines and those that begin with `#` are none.

    Raises:
        ValueError: If there is no prompt.
        OSError: If the file cannot be read.
    """
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    prompts = [line for line in lines if line and not line.startswith("#")]
    if not prompts:
        raise ValueError(f"{path} holds no prompt; write one a line")
    return prompts
