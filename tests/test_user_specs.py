"""Specs of users: by hand, in the folders of TEASPEC_PATH, in installed packages; whatever lies there."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

import teaspec
from teaspec.catalog import SpecExtractor
from teaspec.catalog.found import UserSpec, find_user_specs
from teaspec.catalog.users import register_user_specs
from teaspec.cli import app
from teaspec.cli.files import find_spec
from teaspec.compiler import SpecError
from teaspec.runtime.calibrations import registry
from teaspec.runtime.calibrations.registry import get_extractor, known_types
from tests.proof.small import SPEC, SmallTransformer

ROOT = Path(__file__).parents[1]
OTHER = "teaspec: 1\nmodel: diffusers.{}\nembed: time_embed -> temb\nnorm: blocks.0.norm\nblocks: {{style: single, loops: [blocks]}}\nhead: proj_out\n"  # noqa: E501


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a test registers is gone after it, and nothing comes from the machine."""
    known_types()
    monkeypatch.setattr(registry, "_entries", dict(registry._entries))
    for name in ("TEASPEC_PATH", "TEASPEC_ALLOW"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Path, ...]]:
    """Makes folders of specs and names them in TEASPEC_PATH; each is given as its files."""

    def make(*contents: dict[str, str]) -> tuple[Path, ...]:
        made = tuple(tmp_path / f"folder_{number}" for number in range(len(contents)))
        for folder, files in zip(made, contents, strict=True):
            folder.mkdir()
            for name, text in files.items():
                (folder / name).write_text(text, encoding="utf-8")
        monkeypatch.setenv("TEASPEC_PATH", os.pathsep.join(map(str, made)) + os.pathsep)
        return made

    return make


def path_of(name: str) -> Path:
    extractor = get_extractor(name)
    assert isinstance(extractor, SpecExtractor)
    return extractor.path


def test_a_spec_by_hand(tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(SPEC)
    spec = teaspec.register_spec(path, allow=["tests"])
    assert (spec.class_name, path_of("SmallTransformer")) == ("SmallTransformer", path)
    assert teaspec.register_spec(SPEC.replace("\nembed", "\naliases:\n- One\n\n# two\n- Two\nembed"), allow=["tests"])
    assert {path_of(name).name for name in ("SmallTransformer", "One", "Two")} == {"<spec>"}


def test_a_spec_by_hand_with_mistakes_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="missing-key"):
        teaspec.register_spec("teaspec: 1\n")
    with pytest.raises(SpecError, match="package-not-allowed"):
        teaspec.register_spec(SPEC)
    with pytest.raises(TypeError, match=r"write \['tests'\]"):
        teaspec.register_spec(SPEC, allow="tests")
    with pytest.raises(OSError, match=r"nowhere\.yaml"):
        teaspec.register_spec(tmp_path / "nowhere.yaml")
    assert "SmallTransformer" not in known_types()


def test_a_model_with_a_spec_by_hand_can_be_hooked() -> None:
    teaspec.register_spec(SPEC, allow=["tests"])
    torch.manual_seed(0)
    model = SmallTransformer(width=6).eval()
    inputs = torch.randn(1, 4, 3), torch.randn(1, 2, 5), torch.ones(1)
    with torch.no_grad():
        expected = model(*inputs).sample
        teaspec.apply_teacache_hook(model, teaspec.TeaCacheConfig(0.5))
        assert torch.equal(model(*inputs).sample, expected)
        model(*inputs[:2], inputs[2] - 0.001)
    assert teaspec.stats(model).reused == 1


def test_the_later_spec_wins_and_a_warning_names_both(folders, caplog: pytest.LogCaptureFixture) -> None:
    first, second = folders(
        {"a.yaml": OTHER.format("Mine"), "flux.yaml": OTHER.format("FluxTransformer2DModel")},
        {"a.yaml": OTHER.format("Mine").replace("head: proj_out", "head: proj_out\naliases: [Yours]")},
    )
    shipped = path_of("FluxTransformer2DModel")
    register_user_specs()
    assert path_of("FluxTransformer2DModel") == first / "flux.yaml"
    assert path_of("Mine") == path_of("Yours") == second / "a.yaml"
    assert caplog.messages == [
        f"two specs for FluxTransformer2DModel: {first / 'flux.yaml'} takes the place of {shipped}",
        f"two specs for Mine: {second / 'a.yaml'} takes the place of {first / 'a.yaml'}",
    ]


def test_a_file_that_is_found_twice_is_one_spec(folders, monkeypatch: pytest.MonkeyPatch, caplog) -> None:
    (folder,) = folders({"a.yaml": OTHER.format("Mine"), "notes.txt": "none", "b.yml": "none"})
    link = folder.parent / "link"
    link.symlink_to(folder)
    monkeypatch.setenv("TEASPEC_PATH", os.pathsep.join([str(folder), str(link), "", str(folder)]))
    assert len(find_user_specs()) == 1
    register_user_specs()
    assert caplog.messages == []


def test_what_is_no_spec_is_a_warning_that_names_it(folders, caplog: pytest.LogCaptureFixture) -> None:
    (folder,) = folders({"good.yaml": OTHER.format("Mine"), "mistake.yaml": OTHER.format("A").replace("head", "haed")})
    (folder / "binary.yaml").write_bytes(bytes(range(256)) * 100)
    with (folder / "huge.yaml").open("wb") as file:
        file.truncate(1 << 40)
    (folder / "folder.yaml").mkdir()
    (folder / "dangling.yaml").symlink_to(folder / "nowhere")
    (folder / "loop.yaml").symlink_to(folder / "loop.yaml")
    (folder / "stranger.yaml").write_text(SPEC)
    if hasattr(os, "mkfifo"):
        os.mkfifo(folder / "pipe.yaml")
    tracemalloc.start()
    register_user_specs()
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20 << 20  # of the terabyte only the beginning is read
    assert path_of("Mine") == folder / "good.yaml"
    expected = {
        "binary": "control-character", "dangling": "it is no file", "folder": "it is no file", "huge": "spec-too-large",
        "loop": "it is no file", "mistake": "line 6, column 1: unknown key `haed` [unknown-key]",
        "pipe": "it is no file", "stranger": "package-not-allowed",
    }  # fmt: skip
    told = dict(re.match(r".*/(\w+)\.yaml is not registered: (.*)", message).groups() for message in caplog.messages)
    assert told.keys() == expected.keys()
    assert all(part in told[name] for name, part in expected.items()), told


def test_a_folder_that_is_not_there_is_a_warning(folders, monkeypatch: pytest.MonkeyPatch, caplog) -> None:
    (folder,) = folders({"a.yaml": OTHER.format("Mine")})
    monkeypatch.setenv("TEASPEC_PATH", os.pathsep.join([str(folder / "nowhere"), str(folder)]))
    register_user_specs()
    assert [str(folder / "nowhere") in message for message in caplog.messages] == [True]
    assert path_of("Mine") == folder / "a.yaml"


def test_a_package_is_allowed_by_the_environment(folders, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder,) = folders({"small.yaml": SPEC})
    monkeypatch.setenv("TEASPEC_ALLOW", "other tests.proof")
    register_user_specs()
    assert path_of("SmallTransformer") == folder / "small.yaml"


def install(site: Path, name: str, **points: str) -> Path:
    """A package as pip leaves it: modules, a folder of specs, and the metadata with its entry points."""
    info = site / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [f"{point} = {value}" for point, value in points.items()]
    (info / "entry_points.txt").write_text("\n".join(["[teaspec.specs]", *lines, ""]))
    package = site / name
    (package / "specs").mkdir(parents=True)
    (package / "__init__.py").write_text("")
    return package


def test_packages_bring_specs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog) -> None:
    by_folder = install(tmp_path, "aaa_models", specs="aaa_models.specs")
    (by_folder / "specs" / "one.yaml").write_text(OTHER.format("One"))
    by_name = install(tmp_path, "bbb_models", folder="bbb_models:FOLDER", files="bbb_models:files")
    (by_name / "specs" / "own.yaml").write_text(OTHER.format("Two").replace("diffusers.", "bbb_models.models."))
    (by_name / "three.yaml").write_text(OTHER.format("Three"))
    (by_name / "__init__.py").write_text(
        "from pathlib import Path\nimport teaspec\nteaspec.register_extractor('ByCode', print)\n"
        "FOLDER = str(Path(__file__).parent / 'specs')\nfiles = [Path(__file__).parent / 'three.yaml']\n"
    )
    install(tmp_path, "ccc_models", absent="ccc_models.nowhere", broken="ccc_models.broken:FOLDER", flat="json:dumps")
    (tmp_path / "ccc_models" / "broken.py").write_text("raise SystemError('out of order')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "aaa_models" not in sys.modules
    register_user_specs()
    expected = {"One": by_folder / "specs/one.yaml", "Two": by_name / "specs/own.yaml", "Three": by_name / "three.yaml"}
    assert {name: path_of(name) for name in expected} == expected
    assert get_extractor("ByCode") is print
    absent, broken, flat = sorted(caplog.messages)
    assert absent.startswith("the entry point absent = ccc_models.nowhere of ccc_models gives no specs: ImportError")
    assert broken.endswith("SystemError: out of order")
    assert "flat = json:dumps" in flat and "TypeError" in flat


def test_sources_are_asked_once_and_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def slow() -> None:
        assert "FluxTransformer2DModel" in known_types()  # asking from within neither waits nor asks again
        time.sleep(0.2)
        asked.append("slow")
        registry.add_extractor("Slow", print)

    monkeypatch.setattr(registry, "_sources", [])
    registry.add_source(slow)
    seen: list[bool] = []
    threads = [threading.Thread(target=lambda: seen.append("Slow" in known_types())) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (asked, seen) == (["slow"], [True] * 4)
    registry.add_source(lambda: registry.add_extractor("Both", print) and None)
    teaspec.register_extractor("Both", repr)
    assert get_extractor("Both") is repr


def test_the_commands_see_specs_of_users(folders, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder,) = folders({"small.yaml": SPEC, "bad.yaml": "teaspec: 1\n"})
    monkeypatch.setenv("TEASPEC_ALLOW", "tests")
    monkeypatch.setattr("teaspec.catalog.shipped_specs", lambda: [])
    register_user_specs()
    listed = CliRunner().invoke(app, ["list"]).stdout.splitlines()
    assert f"SmallTransformer\t{folder / 'small'}\tdual\tnorm\tnone\t\t\tnot counted" in listed
    assert find_spec(Path("SmallTransformer")) == UserSpec(folder / "small.yaml", ("tests",))
    every = CliRunner().invoke(app, ["check", "--all", "--examples", "1"])
    passed = f"PASS {folder / 'small.yaml'}: 10 properties hold"
    assert every.stdout.splitlines()[:2] == [f"FAIL {folder / 'bad.yaml'}", passed], every.output
    wrong = CliRunner().invoke(app, ["check", "SmallTransfomer"])
    assert wrong.exit_code == 2 and "did you mean `SmallTransformer`?" in wrong.stderr


SCRIPT = """
import json, sys
import teaspec
early = sorted({"importlib.metadata", "yaml", "torch", "own_models"} & sys.modules.keys())
extractor = teaspec.get_extractor("OwnModel")
import own_models.models as models
import torch
torch.manual_seed(0)
model = models.OwnModel(width=6).eval()
teaspec.apply_teacache_hook(model, teaspec.TeaCacheConfig(0.5))
with torch.no_grad():
    first, second = (model(torch.ones(1, 4, 3), torch.ones(1, 2, 5), torch.tensor([time])) for time in (1, 0.999))
print(json.dumps([early, str(extractor.path), teaspec.stats(model).reused, first.sample.shape == second.sample.shape]))
"""


def test_an_installed_package_brings_its_spec_to_its_model(tmp_path: Path) -> None:
    """All of it in a fresh interpreter: metadata on the path, nothing imported early, the package's own model."""
    package = install(tmp_path, "own_models", specs="own_models.specs")
    source = Path(sys.modules[SmallTransformer.__module__].__file__ or "").read_text(encoding="utf-8")
    (package / "models.py").write_text(source.replace("SmallTransformer", "OwnModel"), encoding="utf-8")
    spec = SPEC.replace("tests.proof.small:SmallTransformer", "own_models.models:OwnModel")
    (package / "specs" / "own.yaml").write_text(spec)
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "bad.yaml").write_text("teaspec: [")
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env={**os.environ, "PYTHONPATH": f"{tmp_path}{os.pathsep}{ROOT}", "TEASPEC_PATH": str(tmp_path / "broken")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [[], str(package / "specs" / "own.yaml"), 1, True]
    assert f"{tmp_path / 'broken' / 'bad.yaml'} is not registered: line 1, column 11" in done.stderr
