"""docs/models.md and `teaspec list` say what is true of the specs, and no class is forgotten."""

from __future__ import annotations

from pathlib import Path

import diffusers
import pytest
import torch

import teaspec
from teaspec.compiler import load_spec
from teaspec.compiler.passes.import_model import import_model
from teaspec.models.facts import as_json, load_table
from teaspec.proof.build import build_module
from teaspec.runtime.calibrations.registry import known_types
from tools.models.build import on_cpu, on_meta
from tools.models.classes import exceptions
from tools.models.cost import measure
from tools.models.gather import gather
from tools.models.page import page
from tools.models.sizes import stated_probe
from tools.models.steps import count

ROOT = Path(__file__).parents[1]
SPECS = {path.stem: path for path in sorted((ROOT / "specs").glob("*.yaml"))}
TABLE = load_table()
REFRESH = "refresh it with `make models`"


def of_spec(name):
    found = [model for model in TABLE.models if model.spec == f"{name}.yaml"]
    assert len(found) == 1, f"{name} is not in the table; {REFRESH}"
    return found[0]


@pytest.mark.parametrize("name", SPECS)
def test_the_table_is_what_the_specs_and_the_compiler_say(name):
    stored = of_spec(name)
    assert gather(load_spec(SPECS[name]), f"{name}.yaml", stored.cost) == stored, REFRESH


def test_the_table_holds_the_shipped_classes_and_no_others():
    assert {f"{name}.yaml" for name in SPECS} == {model.spec for model in TABLE.models}, REFRESH
    names = [name for model in TABLE.models for name in (model.name, *model.aliases)]
    assert set(names) == set(known_types()), REFRESH
    assert TABLE.diffusers == diffusers.__version__, REFRESH
    assert [model.name for model in TABLE.models] == sorted(model.name for model in TABLE.models)


@pytest.mark.parametrize("name", ["flux", "cogvideox", "wan_vace"])
def test_the_costs_are_those_of_the_models(name):
    assert measure(SPECS[name]) == of_spec(name).cost, REFRESH


def test_a_cost_by_hand():
    """What a reused step of FLUX multiplies: the image in and out, the embeddings, the modulation of block and head."""
    width, tokens, channels = 3072, 4096, 64
    image = 2 * tokens * channels * width
    embeddings = (256 + 768) * width + 2 * width * width
    modulation = width * 6 * width + width * 2 * width
    assert of_spec("flux").cost.reused == 2 * (image + embeddings + modulation)
    assert dict(of_spec("flux").cost.blocks) == {"transformer_blocks": 19, "single_transformer_blocks": 38}


def test_the_page_is_what_the_table_says():
    assert (ROOT / "docs" / "models.md").read_text(encoding="utf-8") == page(TABLE, exceptions()), REFRESH


def test_the_table_survives_its_file():
    assert load_table(as_json(TABLE)) == TABLE


WITH_THRESHOLDS = sorted({model.spec for model in TABLE.models if model.thresholds})


def rows():
    """The table of thresholds as the page shows it: file of the spec and name of the set to what `enable` takes."""
    text = (ROOT / "docs" / "models.md").read_text(encoding="utf-8").partition("## Published thresholds")[2]
    cells = [
        line.strip("| ").split(" | ") for line in text.partition("## What")[0].splitlines() if line.startswith("| `")
    ]
    files = {model.name: model.spec for model in TABLE.models}
    return {(files[row[0].strip("`")], row[1].strip("`")): float(row[4]) for row in cells}


@pytest.mark.parametrize("file", WITH_THRESHOLDS)
def test_enable_takes_what_the_page_says(file):
    """Mutation: `enable` takes `fast` where it is given nothing, or the page shows `quality` as `balanced`."""
    spec = load_spec(ROOT / "specs" / file)
    facts = {"base": spec.teacache, **spec.teacache.variants}
    said = {name: value for (other, name), value in rows().items() if other == file}
    assert set(said) == {name for name, one in facts.items() if one.thresholds}
    for name in facts:
        module = build_module(import_model(spec), dict(spec.probe.config), torch.float32, seed=0)
        teaspec.enable(module, variant=name)
        taken = teaspec.find_teacache_hook(module).config.rel_l1_thresh
        assert taken == said.get(name, 0.2)
        assert name not in said or taken in {one.thresh for one in facts[name].thresholds}


def test_there_are_enough_classes_with_thresholds():
    assert len(WITH_THRESHOLDS) >= 20


def test_every_reused_step_is_counted_and_cheaper():
    assert [model.name for model in TABLE.models if not (model.cost and 0 < model.cost.ratio < 1)] == []


def test_products_that_are_not_worked_out_are_counted_alike():
    """A model that looks at values is counted on the CPU; this one could be counted either way."""
    spec, probe = load_spec(SPECS["wan_vace"]), stated_probe(SPECS["wan_vace"])
    config = {**probe.config, "num_layers": 2, "vace_layers": [0]}
    sizes = {"batch": 1, "frames": 1, "rows": 4, "columns": 4, "text": 16}
    on_both = [count(spec, build(import_model(spec), config), probe, sizes) for build in (on_meta, on_cpu)]
    assert on_both[0] == on_both[1]
