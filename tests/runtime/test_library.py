"""What the runtime takes from diffusers, whatever its version: through one module, and contexts given in both ways."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest
import torch

from teaspec.runtime.host.library import CacheContext, as_context, cache_context
from tests.runtime.driving import choices, hooked, latents, signal

RUNTIME = Path(__file__).parents[2] / "teaspec" / "runtime"


def imported(file: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return {name.partition(".")[0] for name in found}


def test_one_module_imports_diffusers() -> None:
    """Each other import would be one that an unsupported version answers in its own words."""
    files = {file.name for file in RUNTIME.rglob("*.py") if "diffusers" in imported(file)}
    assert files == {"library.py"}


def test_a_context_is_a_name_or_more() -> None:
    assert as_context(None) is None
    assert as_context("cond") == CacheContext("cond")
    whole = CacheContext("cond", step_index=3, num_inference_steps=9)
    assert as_context(whole) is whole


def test_a_bare_name_tells_branches_apart() -> None:
    """As versions up to 0.40 give it; goes red where `set_context` takes what it is given as it is."""
    module, hook = hooked()
    with torch.no_grad():
        for level in (1.0, 1.25):
            for offset, branch in enumerate(["cond", "uncond"]):
                hook.state_manager.set_context(branch)
                module(latents(offset), signal(level + 100 * offset))
                hook.state_manager.set_context(None)
    assert [decision.branch for decision in hook.decisions] == ["cond", "uncond"] * 2
    assert choices(hook) == ["compute"] * 2 + ["reuse"] * 2


def test_a_call_in_a_context_has_its_place() -> None:
    """The number of the step arrives on every version; goes red where an older one gets the name alone."""
    module, hook = hooked()
    with torch.no_grad():
        for step in range(2):
            with cache_context(module, "cond", step_index=step, num_inference_steps=2):
                assert hook.state_manager.context == CacheContext("cond", step_index=step, num_inference_steps=2)
                module(latents(), signal(1.0))
    assert hook.state_manager.find_context() is None


def test_a_context_ends_with_a_call_that_fails() -> None:
    """Diffusers' own does so from 0.41 on; before, the hook does. Goes red on 0.40 without `leave_failed`."""
    module, hook = hooked()
    with pytest.raises(TypeError), torch.no_grad(), module.cache_context("uncond"):
        module(None, signal(1.0))
    assert hook.state_manager.find_context() is None
