"""The shipped specs: where they are found, under which names they are registered, when they are read."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import teaspec
from teaspec.catalog import SpecExtractor, shipped_specs
from teaspec.compiler import load_spec
from teaspec.compiler.passes.import_model import import_model
from teaspec.compiler.report import SpecError
from teaspec.runtime.calibrations.calibration import Calibration, Defaults
from teaspec.runtime.calibrations.registry import find_defaults, get_extractor, known_types
from teaspec.runtime.calibrations.thresholds import Threshold

ROOT = Path(__file__).parents[1]
SPECS = {path.stem: path for path in sorted((ROOT / "specs").glob("*.yaml"))}


@pytest.mark.parametrize("name", SPECS)
def test_every_spec_is_registered_under_its_class_and_its_aliases(name):
    spec = load_spec(SPECS[name])
    extractors = [get_extractor(key) for key in (spec.class_name, *spec.aliases)]
    assert all(isinstance(extractor, SpecExtractor) for extractor in extractors)
    assert {extractor.path.name for extractor in extractors} == {SPECS[name].name}
    assert len(set(map(id, extractors))) == 1


@pytest.mark.parametrize("name", SPECS)
def test_the_extractor_of_a_spec_knows_its_facts(name):
    spec = load_spec(SPECS[name])
    extractor = get_extractor(import_model(spec))
    facts = spec.teacache

    def common(one):
        return tuple(one.coefficients), one.accumulate, one.status, one.source, one.warmup_steps, dict(one.match)

    def published(one):
        return tuple(Threshold(each.thresh, each.speedup, each.note, source=one.source) for each in one.thresholds)

    variants = {
        key: Calibration(*common(one), thresholds=published(one), signal=one.signal)
        for key, one in facts.variants.items()
    }
    defaults = Defaults(*common(facts), thresholds=published(facts), variants=variants)
    assert extractor.defaults == defaults == find_defaults(spec.class_name)
    assert extractor.bypass == tuple(spec.bypass)
    assert repr(extractor) == f"<extractor of {SPECS[name].name}>"


def test_nothing_is_read_before_it_is_asked_for(tmp_path):
    file = tmp_path / "later.yaml"
    extractor = SpecExtractor(file)
    file.write_text("teaspec: 2\n", encoding="utf-8")
    with pytest.raises(SpecError):
        _ = extractor.spec
    shutil.copy(SPECS["flux"], file)
    assert extractor.spec.class_name == "FluxTransformer2DModel"
    file.unlink()
    assert extractor.defaults.status == "published"


def test_the_extractor_compiles_for_the_module_it_is_given():
    extractor = SpecExtractor(SPECS["flux"])
    spec = extractor.spec
    module = import_model(spec)(**spec.probe.config)
    inputs = {
        "hidden_states": torch.randn(1, 3, 4),
        "encoder_hidden_states": torch.randn(1, 2, 12),
        "pooled_projections": torch.randn(1, 8),
        "timestep": torch.rand(1),
        "img_ids": torch.zeros(3, 3),
        "txt_ids": torch.zeros(2, 3),
    }
    with torch.no_grad():
        context = extractor(module, **inputs)
        (hidden_states,) = context.run_transformer_blocks()
        assert torch.equal(context.postprocess(hidden_states).sample, module(**inputs).sample)
    assert extractor.compiled_for(module) is extractor.compiled_for(module)


def test_the_specs_of_a_checkout_lie_beside_the_package():
    assert shipped_specs() == [Path(teaspec.__file__).parents[1] / "specs" / path.name for path in SPECS.values()]


ASKED = """
import json, sys
import teaspec
from teaspec import catalog
from teaspec.runtime.calibrations.registry import get_extractor, known_types
read = [name for name in ("yaml", "pydantic", "diffusers") if name in sys.modules]
names = {name: str(get_extractor(name).path) for name in known_types()}
lazy = not any("spec" in vars(get_extractor(name)) for name in known_types())
print(json.dumps([teaspec.__file__, names, read, lazy]))
"""


def asked(site: Path) -> list:
    """What a fresh interpreter says that finds teaspec in `site`."""
    environment = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run(
        [sys.executable, "-c", ASKED], cwd=site, env=environment, capture_output=True, text=True, check=True
    )
    file, *answer = json.loads(done.stdout)
    assert Path(file).is_relative_to(site)
    return answer


def installed(site: Path) -> Path:
    package = site / "teaspec"
    shutil.copytree(Path(teaspec.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__", "specs"))
    return package


def test_the_specs_of_a_wheel_lie_inside_the_package(tmp_path):
    package = installed(tmp_path)
    shutil.copytree(ROOT / "specs", package / "specs")
    names, read, lazy = asked(tmp_path)
    assert set(names) == set(known_types()) & {load_spec(path).class_name for path in SPECS.values()}
    assert {Path(path).parent for path in names.values()} == {package / "specs"}
    assert (read, lazy) == ([], True)


def test_names_are_found_without_parsing(tmp_path):
    """One folder beside the package, with `model` and `aliases` in each way that they can be written."""
    installed(tmp_path)
    folder = tmp_path / "specs"
    folder.mkdir()
    specs = {
        "one": "# model: commented.Out\nteaspec: 1\nmodel: a.b.One # the first\naliases: [Uno, 'Eins', \"Un\"]\n",
        "two": "teaspec: 1\nmodel: 'a.b:Two'\n",
        "three": 'aliases: []\nmodel: "Three.Class"\nteacache: {note: "model: not.This"}\n',
        "four": "teaspec: 1\nhead: norm_out\n",
        "five": "model: a.Five\naliases:\n- Cinq # the fifth\n  - Fünf\nhead: Not\n",
        "seven": "model: a.Seven\naliases:\n\n  # of old\n  - Sept\n# of new\n  - Siete\n\nhead: Not\n",
        "six": "model: a.Six\naliases: [\n  Sechs, # and\n  Seis,\n]\nhead: Not\n",
    }
    for name, text in specs.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    (folder / "spec.schema.json").write_text("{}", encoding="utf-8")
    names, _, lazy = asked(tmp_path)
    assert {name: Path(path).stem for name, path in names.items()} == {
        "One": "one", "Uno": "one", "Eins": "one", "Un": "one", "Two": "two", "Class": "three",
        "Seven": "seven", "Sept": "seven", "Siete": "seven",
        "Five": "five", "Cinq": "five", "Fünf": "five", "Six": "six", "Sechs": "six", "Seis": "six",
    }  # fmt: skip
    assert lazy


def test_a_package_without_specs_knows_no_types(tmp_path):
    installed(tmp_path)
    assert asked(tmp_path)[0] == {}
