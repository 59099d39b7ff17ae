"""Shipped specs, written for classes of other packages."""

from __future__ import annotations

import importlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from torch import nn

from teaspec.compiler import load_spec
from tools.elsewhere.on_import import Watch
from tools.elsewhere.outcome import Outcome
from tools.elsewhere.page import write_table
from tools.elsewhere.translate import translate
from tools.vllm_omni.constructors import give_config

SPECS = Path(__file__).parents[1] / "specs"


class Fewer(nn.Module):
    def __init__(self, in_channels: int, num_layers: int) -> None: ...

    def forward(self, hidden_states: Any, timestep: Any, encoder_hidden_states: Any) -> None: ...


class Wrapper(nn.Module):
    def __init__(self, **kwargs: Any) -> None: ...

    def forward(self, *args: Any, **kwargs: Any) -> None: ...


class Ignoring(nn.Module):
    def forward(self, hidden_states: Any, **kwargs: Any) -> None: ...


def translated(cls: type[nn.Module], tmp_path: Path, probe: Any = None, spec: str = "flux", lines: Any = None) -> Any:
    translation = translate(SPECS / f"{spec}.yaml", f"there:{cls.__name__}", cls, probe, lines)
    file = tmp_path / "spec.yaml"
    file.write_text(translation.text, encoding="utf-8")
    return load_spec(file), translation


def test_what_a_class_does_not_take_is_left_out_and_said(tmp_path: Path) -> None:
    """Red when `varying` and `carried` stay as they are, or nothing is said."""
    spec, translation = translated(Fewer, tmp_path)
    assert spec.model == "there:Fewer"
    assert spec.varying == ("hidden_states",)
    assert spec.blocks.carried == ()
    assert set(spec.probe.inputs) == {"hidden_states", "timestep", "encoder_hidden_states"}
    assert {"`img_ids`", "`controlnet_block_samples`"} <= set(translation.left_out)


def test_landmarks_stay(tmp_path: Path) -> None:
    spec, _ = translated(Fewer, tmp_path)
    shipped = load_spec(SPECS / "flux.yaml")
    assert (spec.embed, spec.norm, spec.blocks.loops, spec.head) == (
        shipped.embed,
        shipped.norm,
        shipped.blocks.loops,
        shipped.head,
    )


def test_a_wrapper_takes_everything(tmp_path: Path) -> None:
    """Red when `**kwargs` never count."""
    spec, translation = translated(Wrapper, tmp_path)
    assert translation.left_out == ()
    assert spec.varying == load_spec(SPECS / "flux.yaml").varying


def test_what_only_vanishes_among_keywords_is_left_out(tmp_path: Path) -> None:
    """Red when `**kwargs` alone count as taking an argument."""
    spec, _ = translated(Ignoring, tmp_path)
    assert set(spec.probe.inputs) == {"hidden_states"}


def test_a_probe_can_be_changed(tmp_path: Path) -> None:
    spec, translation = translated(Wrapper, tmp_path, {"config": {"in_channels": 5}, "dtype": "bfloat16"})
    assert spec.probe.config["in_channels"] == 5
    assert spec.probe.config["num_layers"] == load_spec(SPECS / "flux.yaml").probe.config["num_layers"]
    assert spec.probe.dtype == "bfloat16"
    assert translation.changed == ("config", "dtype")


def test_a_line_can_be_changed(tmp_path: Path) -> None:
    """Red when the shipped landmark stays, or nothing is said of it."""
    spec, translation = translated(Wrapper, tmp_path, lines={"embed": "time_text_embed -> other"})
    assert str(spec.embed) == "time_text_embed -> other"
    assert translation.changed == ("embed",)


def test_cases_with_objects_that_the_module_does_not_bring_are_left_out(tmp_path: Path) -> None:
    """Red when `_made` finds nothing: the proof would refuse the whole spec for one case."""
    spec, translation = translated(Wrapper, tmp_path, spec="flux2")
    assert translation.left_out == ("case 4 (`kv_cache`)",)
    assert len(spec.probe.cases) == len(load_spec(SPECS / "flux2.yaml").probe.cases) - 1


def test_imports_are_watched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Red when the package's own `__init__` runs, and when nothing is done before another one or behind a model."""
    for path, text in {
        "watched_elsewhere/__init__.py": "raise ImportError('its own')",
        "watched_elsewhere/models/__init__.py": "",
        "watched_elsewhere/models/one.py": "SIZE = 1",
        "other_elsewhere.py": "",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    monkeypatch.syspath_prepend(tmp_path)
    seen: list[Any] = []
    watch = Watch(
        package="watched_elsewhere",
        set_up=lambda: seen.append("set up"),
        before={"other_elsewhere": lambda: seen.append("before")},
        models="watched_elsewhere.models.",
        loaded=lambda module: seen.append(module.SIZE),
    )
    watch.start()
    try:
        importlib.import_module("watched_elsewhere.models.one")
        importlib.import_module("other_elsewhere")
    finally:
        sys.meta_path.remove(watch)
    assert seen == ["set up", 1, "before"]


def test_a_class_is_built_from_plain_values() -> None:
    """Red when what a constructor has no parameter for is refused, or the class of `config` is not looked for."""

    @dataclass
    class Config:
        width: int

        @classmethod
        def from_dict(cls, values: dict[str, Any]) -> Config:
            return cls(values["width"])

    class Model(nn.Module):
        def __init__(self, config: Config | None = None, *, layers: int = 2) -> None:
            super().__init__()
            assert config is not None
            self.built = (config.width, layers)

    setattr(sys.modules[__name__], "Config", Config)  # noqa: B010 - where its annotation is looked up
    try:
        give_config(Model)
    finally:
        delattr(sys.modules[__name__], "Config")
    built = Model(width=3, layers=4)  # type: ignore[call-arg]
    assert built.built == (3, 4)
    assert Model(Config(5)).built == (5, 2)


def test_a_table_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    """Red when the comments are not kept, so that a second run finds no place."""
    page = tmp_path / "page.md"
    page.write_text("before\n<!-- x -->\n<!-- /x -->\nafter\n", encoding="utf-8")
    outcome = Outcome("a.b:Model", "flux.yaml", "passes", "passes", ("`guidance`",), reused=0.25)
    for head in ("first", "second"):
        write_table(page, "x", head, [outcome])
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n<!-- x -->\nsecond\n")
    assert text.endswith("<!-- /x -->\nafter\n")
    assert "first" not in text
    assert "| Model (b) | flux.yaml | passes | passes | 25.0% | `guidance` |" in text


def test_a_page_without_a_place_is_an_error(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("nothing", encoding="utf-8")
    with pytest.raises(ValueError, match="no place for the table"):
        write_table(page, "x", "head", [])
