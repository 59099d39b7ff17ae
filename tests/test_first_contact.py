"""The first ten minutes of three users, from what the README, the docs and the messages tell them, and nothing else.

What each message says of its own is tried beside the code that says it; `HELD` has where. The pages themselves are
followed by tests/test_front_door.py (docs/index.md, docs/serving.md) and tests/test_tutorial.py (the tutorial).
"""

from __future__ import annotations

import ast
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

REFUSALS, MESSAGES, THRESHOLDS = "runtime/test_refusals", "compiler/test_messages", "runtime/test_thresholds"
BACKEND, QUANTISED = "runtime/test_backend", "runtime/test_composition_quantised"

HELD = {
    "`enable(None)`, `enable('repo/id')`, a class": (REFUSALS, "test_what_can_hold_no_transformer"),
    "`apply_teacache_hook(pipe, ...)`": (REFUSALS, "test_a_pipeline_where_a_transformer_is_asked_for"),
    "a UNet, an autoencoder, a ControlNet": (REFUSALS, "test_models_of_other_kinds"),
    "DataParallel, PeftModel, torch.compile": (REFUSALS, "test_what_a_wrapper_calls_is_cached"),
    "DataParallel on several devices": (REFUSALS, "test_copies_on_several_devices_are_refused"),
    "DistributedDataParallel": (REFUSALS, "test_data_parallel_in_processes_is_looked_through"),
    "FSDP, the first": (REFUSALS, "test_parameters_that_are_taken_away_are_refused"),
    "FSDP, the second": ("runtime/test_composition_fsdp", "test_a_sharded_transformer"),
    "any other wrapper": (REFUSALS, "test_a_transformer_far_inside_is_named"),
    "a class without a spec": (REFUSALS, "test_a_class_that_nobody_knows_gets_the_command_that_drafts_a_spec"),
    "a class of a notebook": (REFUSALS, "test_a_class_that_cannot_be_imported_is_to_be_moved_first"),
    "a misspelt field of the config": (REFUSALS, "test_a_field_that_does_not_exist"),
    "a misspelt setting of `enable`": (BACKEND, "test_unknown_settings_are_refused_with_the_nearest_name"),
    "a threshold beyond any use": (THRESHOLDS, "test_beyond_any_use"),
    "a threshold far from the published ones": (THRESHOLDS, "test_a_value_far_outside_is_warned_of"),
    "quantised linears": (QUANTISED, "test_a_quantised_flux_is_cut_and_exact"),
    "torch.export": (REFUSALS, "test_a_hooked_module_is_not_exported"),
    "`tok` for `tok`": (MESSAGES, "test_no_help_offers_what_was_written"),
    "`they bind` with nothing behind": (MESSAGES, "test_no_message_is_empty_or_says_a_thing_twice"),
    "`no value can begin with` nothing": (MESSAGES, "test_where_nothing_stands_that_is_said"),
    "an odd letter": (MESSAGES, "test_an_odd_letter_is_named"),
    "`c_1` where the line says `c`": (MESSAGES, "test_no_name_is_one_that_the_compiler_made_up"),
    "an unknown argument of the probe": (MESSAGES, "test_an_input_that_the_forward_does_not_take"),
    "an unknown key of its config": (MESSAGES, "test_a_config_key_that_the_constructor_does_not_take"),
    "every code, every label": (MESSAGES, "test_of_every_code_a_message_is_looked_at"),
}
"""What a newcomer runs into, and the test that holds what is said."""


@pytest.mark.parametrize("mistake", HELD)
def test_what_is_said_of_a_mistake_is_held(mistake: str) -> None:
    """Mutation: a test of that name renamed."""
    file, name = HELD[mistake]
    tree = ast.parse((ROOT / "tests" / f"{file}.py").read_text(encoding="utf-8"))
    assert name in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


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


README_COMMANDS = [
    text
    for text in dict.fromkeys(re.findall(r"`(teaspec [a-z].*?)`", (ROOT / "README.md").read_text(encoding="utf-8")))
    # the bare name of a command is no call; `--all` takes minutes: tests/batch runs it on a few, `make check` on all
    if text not in {"teaspec check", "teaspec check --all"}
]

SHORTER = {"check": ["--examples", "2"], "compare": ["--steps", "12"]}
"""What makes a command quick."""

SAYS = {
    "teaspec check specs/flux.yaml": "10 properties hold",
    "teaspec explain specs/flux.yaml": "FluxTransformer2DModel.forward",
    "teaspec list": "FluxTransformer2DModel",
    "teaspec list flux": "0.25, 1.5 times faster",
    "teaspec compare my_pipeline:load prompts.txt --budget 8,12": "teaspec.enable(pipe, budget=",
}


@pytest.mark.parametrize("command", README_COMMANDS)
def test_the_commands_of_the_readme(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In a folder with the specs and a pipeline of one's own. Mutation: `compare` misspelt in the README."""
    (tmp_path / "specs").symlink_to(ROOT / "specs")
    (tmp_path / "my_pipeline.py").write_text("from tests.compare.loaders import sd3 as load\n", encoding="utf-8")
    (tmp_path / "prompts.txt").write_text("a lighthouse\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    _, name, *arguments = shlex.split(command)
    done = CliRunner().invoke(cli.app, [name, *arguments, *SHORTER.get(name, [])])
    assert done.exit_code == 0, done.output
    assert SAYS[command] in " ".join(done.stdout.split())


def test_a_class_that_the_shipped_specs_do_not_know(own_registry: None) -> None:
    """At most three of all names, and the command with its argument. Mutation: `nearest` lists all of them."""
    with pytest.raises(ValueError) as refused:
        teaspec.enable(SmallDiT(dim=8, depth=2, num_heads=2))
    text = str(refused.value)
    told = re.search(r"Nearest of the (\d+) known: ([^.]+)\. `teaspec init tests\.draft\.models:SmallDiT -o", text)
    assert told is not None, text
    assert int(told[1]) >= 74
    assert 1 <= len(told[2].split(", ")) <= 3
    assert sum(name in text for name in registry.known_types()) <= 3


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
