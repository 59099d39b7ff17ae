"""The first ten minutes of three users, from what the README, the docs and the messages tell them, and nothing else.

What each message says of its own is held by tests/runtime/test_refusals.py, tests/runtime/test_thresholds.py and
tests/compiler/test_messages.py.
"""

from __future__ import annotations

import re
import shlex
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from typer.testing import CliRunner

import teaspec
from teaspec import cli
from teaspec.runtime.calibrations import registry
from teaspec.runtime.pipeline.apply import find_teacache_hook
from tests.draft.models import SmallDiT
from tests.runtime.models import flux_pipeline, generate, tiny_flux

ROOT = Path(__file__).parents[1]


def block_of(page: str, containing: str) -> str:
    """The block of Python in a page that holds a text."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text(encoding="utf-8"), re.DOTALL)
    (found,) = (block for block in blocks if containing in block)
    return found


@pytest.fixture
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    registry.known_types()
    monkeypatch.setattr(registry, "_entries", dict(registry._entries))


class Prompted:
    """A pipeline that is called with words, where the tiny one has no text encoders."""

    def __init__(self) -> None:
        self.pipeline = flux_pipeline(tiny_flux())

    def __call__(self, prompt: str, num_inference_steps: int) -> Any:
        return type("Output", (), {"images": generate(self.pipeline, num_inference_steps)})


def test_a_server_of_diffusers_models(caplog: pytest.LogCaptureFixture) -> None:
    """README, "Use it", around a tiny pipeline. Mutation: `teaspec.enable` needs a threshold."""
    prompted = Prompted()
    text = block_of("README.md", "teaspec.enable(pipe)")
    lines = [line for line in text.splitlines() if "FluxPipeline" not in line]
    calls = [line.replace("pipe(", "prompted(") if line.startswith("image = ") else line for line in lines]
    plain = generate(prompted.pipeline, 28)
    with caplog.at_level("INFO", "teaspec"):
        exec("\n".join(calls), {"pipe": prompted.pipeline, "prompted": prompted})
    told = [record.getMessage() for record in caplog.records if "rel_l1_thresh" in record.getMessage()]
    assert told == [
        "TeaCache on FluxTransformer2DModel, variant base: rel_l1_thresh 0.25, published with a speed-up of 1.5, the "
        "nearest to 1.6 (preset balanced; ali-vilab/TeaCache TeaCache4FLUX/teacache_flux.py @7c10efc4)"
    ]
    assert find_teacache_hook(prompted.pipeline.transformer) is None
    assert torch.equal(generate(prompted.pipeline, 28), plain)


def test_what_the_server_asks_next() -> None:
    """Which thresholds there are, and what a thousand calls did. Mutation: `list` takes no class."""
    shown = CliRunner().invoke(cli.app, ["list", "FluxTransformer2DModel"])
    assert "threshold     0.25, 1.5 times faster" in shown.stdout
    pipe = flux_pipeline(tiny_flux())
    with teaspec.enabled(pipe, preset="fast") as backend:
        generate(pipe)
        generate(pipe)
        (one,) = teaspec.stats(pipe).transformers
        assert (one.bound, one.sums.generations) == (0.6, 2)
    assert not backend.is_enabled()


def test_a_user_of_vllm_omni() -> None:
    """docs/vllm-omni.md; where it is not installed, that is said. Mutation: the ImportError names another package."""
    if find_spec("vllm_omni") is not None:
        pytest.skip("vllm-omni is installed here; tests/integrations/test_vllm_omni.py runs in it")
    with pytest.raises(ImportError, match=r"vLLM-Omni|vllm_omni"):
        exec(block_of("docs/vllm-omni.md", "vllm_omni.register()"), {})
    backend = teaspec.get_cache_backend("tea_cache", {"rel_l1_thresh": 0.2})  # the names are the same
    assert backend is not None and backend.config.rel_l1_thresh == 0.2


def test_the_author_of_a_research_model(own_registry: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each message gives the next command, word for word. Mutation: `teaspec init` is named without its argument."""
    torch.manual_seed(0)
    model = SmallDiT(dim=8, depth=2, num_heads=2).eval()
    with pytest.raises(ValueError, match="no spec and no extractor is for its class") as refused:
        teaspec.enable(model)
    told = re.search(r"`(teaspec init [^`]+)`", str(refused.value))
    assert told is not None
    monkeypatch.chdir(tmp_path)
    drafted = CliRunner().invoke(cli.app, shlex.split(told[1])[1:])
    assert drafted.exit_code == 0, drafted.output
    told = re.search(r"`(teaspec check [^`]+)`", drafted.stderr)
    assert told is not None
    checked = CliRunner().invoke(cli.app, [*shlex.split(told[1])[1:], "--allow", "tests", "--examples", "3"])
    assert checked.exit_code == 0, checked.output
    teaspec.register_spec(tmp_path / "SmallDiT.yaml", allow=["tests"])
    teaspec.enable(model)
    assert find_teacache_hook(model) is not None
