"""vLLM-Omni's own hook and backend, with what `register` put into its registry."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import torch
from torch import nn

from teaspec.proof.compare import require_equal
from teaspec.proof.inputs import Example
from teaspec.proof.subject import Subject


def require_equal_when_served(subject: Subject, pipeline_name: str | None = None) -> None:
    """Enables their backend with `rel_l1_thresh` alone; what it computes must equal the model's own forward.

    A first step and one on other inputs are computed, a third on the inputs of the second is reused and runs no block.

    Args:
        subject: The class, and a spec with the probe.
        pipeline_name: The class name of the pipeline that serves it, where vLLM-Omni enables that in a way of its own.

    Raises:
        AssertionError: They differ, or blocks ran, or did not.
    """
    from vllm_omni.diffusion.cache.teacache import TeaCacheBackend
    from vllm_omni.diffusion.data import DiffusionCacheConfig

    example = subject.largest
    steps = [example, replace(example, step=1)]
    expected = [subject.uncached(step) for step in steps]
    pipeline = _pipeline(subject.module(example), pipeline_name)
    backend = TeaCacheBackend(DiffusionCacheConfig(rel_l1_thresh=1e-9))
    backend.enable(pipeline)
    extractor = pipeline.transformer._hook_registry.get_hook("teacache").extractor_fn
    try:
        backend.refresh(pipeline, num_inference_steps=3)
        with subject.count_blocks(example) as count:
            for step, wanted in zip(steps, expected, strict=True):
                require_equal(wanted.output, _call(subject, step), "under vLLM-Omni's hook against the forward")
                _require(count.take() == wanted.blocks or subject.goes_past(step), "a computed step runs all blocks")
            hook = pipeline.transformer._hook_registry.get_hook("teacache")
            hook.config.rel_l1_thresh = 1e9
            _call(subject, steps[1])
            _require(count.take() == 0 or subject.goes_past(example), "a reused step runs none")
        _require(extractor.serves(pipeline.transformer), "the extractor is the compiled one")
    finally:
        module = pipeline.transformer
        module._hook_registry.remove_hook("teacache")
        module.forward = module._omni_original_forward
        del module._hook_registry, module._omni_original_forward


def _pipeline(module: nn.Module, name: str | None) -> Any:
    return type(name or "Pipeline", (SimpleNamespace,), {})(transformer=module)


def _call(subject: Subject, example: Example) -> Any:
    arguments = subject.arguments(example)
    with torch.no_grad():
        return subject.module(example)(*arguments.args, **arguments.kwargs)


def _require(holds: bool, claim: str) -> None:
    if not holds:
        raise AssertionError(f"not so: {claim}")
