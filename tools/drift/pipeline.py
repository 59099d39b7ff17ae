"""A tiny `FluxPipeline` of the installed diffusers, cached: `python -m tools.drift.pipeline` prints what held, as JSON.

Weights are random, prompts are embeddings and nothing is decoded, so that neither text encoders nor an autoencoder are
needed. True CFG calls the transformer twice a step.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import diffusers
import torch
from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel

import teaspec

STEPS = 6
_BRANCHES = {"cond", "uncond"}


def main() -> None:
    """Prints which claims hold."""
    sys.stdout.write(json.dumps({"diffusers": diffusers.__version__, "claims": claims()}) + "\n")


def claims() -> dict[str, bool]:
    """What is claimed of the cached pipeline, and whether it holds."""
    pipe = _pipeline()
    with _calls(pipe.transformer) as uncached:
        image = _generate(pipe)
    # never below the threshold: every step is computed
    teaspec.enable(pipe, rel_l1_thresh=1e-9, coefficients=[0.0, 0.0, 0.0, 0.0, 1.0])
    with _calls(pipe.transformer) as computed:
        same = _generate(pipe)
    counts = _counts(pipe)
    teaspec.disable(pipe)
    # never above it: all but the first and the last are reused
    teaspec.enable(pipe, rel_l1_thresh=1e9, coefficients=[0.0, 0.0, 0.0, 0.0, 0.0])
    first = _generate(pipe)
    reused = _counts(pipe)
    second = _generate(pipe)
    hook = teaspec.find_teacache_hook(pipe.transformer)
    held = sum(session.bytes_held for session in hook.sessions.all) if hook is not None else -1
    is_left = hook is not None and _is_left_by_a_failed_call(pipe.transformer, hook)
    teaspec.disable(pipe)
    return {
        "computed steps equal uncached ones": torch.equal(image, same)
        and len(uncached) == len(computed) == 2 * STEPS
        and all(map(torch.equal, uncached, computed)),
        "branches are told apart": set(counts) == set(reused) == _BRANCHES
        and all(computed == STEPS for computed, _ in counts.values())
        and all(steps == (2, STEPS - 2) for steps in reused.values()),
        "nothing is left at the end": held == 0 and torch.equal(first, second) and not torch.equal(first, image),
        "a context is left by a call that fails": is_left,
        "nothing is left behind": torch.equal(image, _generate(pipe)),
    }


def _pipeline() -> Any:
    config = {
        **{"patch_size": 1, "in_channels": 16, "joint_attention_dim": 8, "pooled_projection_dim": 8},
        **{"num_layers": 1, "num_single_layers": 1, "attention_head_dim": 8, "num_attention_heads": 2},
        "axes_dims_rope": (2, 2, 4),
    }
    with torch.random.fork_rng():
        torch.manual_seed(0)
        transformer = FluxTransformer2DModel(**config)
        for weight in transformer.parameters():
            if not weight.any():
                torch.nn.init.normal_(weight, std=0.1)
    nothing = dict.fromkeys(("vae", "text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2"))
    pipe = FluxPipeline(scheduler=FlowMatchEulerDiscreteScheduler(), transformer=transformer.eval(), **nothing)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def _generate(pipe: Any) -> torch.Tensor:
    numbers = torch.Generator().manual_seed(1)
    words = {
        name: torch.randn(shape, generator=numbers)
        for kind in ("", "negative_")
        for name, shape in ((f"{kind}prompt_embeds", (1, 3, 8)), (f"{kind}pooled_prompt_embeds", (1, 8)))
    }
    size = {"height": 64, "width": 64, "num_inference_steps": STEPS, "true_cfg_scale": 2.0}
    image: torch.Tensor = pipe(**words, **size, generator=numbers, output_type="latent").images
    return image


def _is_left_by_a_failed_call(transformer: Any, hook: Any) -> bool:
    """Up to 0.40 diffusers does not leave a `cache_context` in which something is raised."""
    try:
        with transformer.cache_context("uncond"):
            transformer(hidden_states=None)
    except Exception:  # whatever a forward makes of such an argument
        return hook.state_manager.find_context() is None
    return False


@contextmanager
def _calls(transformer: torch.nn.Module) -> Iterator[list[torch.Tensor]]:
    """What the transformer returns, call by call."""
    outputs: list[torch.Tensor] = []
    handle = transformer.register_forward_hook(lambda _module, _args, output: outputs.append(output[0].clone()))
    try:
        yield outputs
    finally:
        handle.remove()


def _counts(pipe: Any) -> dict[str, tuple[int, int]]:
    """Steps computed and reused by each branch in the generation that has ended."""
    hook = teaspec.find_teacache_hook(pipe.transformer)
    generation = None if hook is None else hook.last_generation
    counts = {} if generation is None else generation.counts
    return {branch: (count.computed, count.reused) for branch, count in counts.items()}


if __name__ == "__main__":
    main()
