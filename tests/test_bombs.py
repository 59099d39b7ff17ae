"""A stranger's spec is no bomb: whatever it asks for is refused, or done, at once and in little memory."""

from __future__ import annotations

import gc
import random
import re
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
import torch

from teaspec.compiler import SpecError, compile_spec, load_spec
from teaspec.compiler.passes.import_model import import_model
from teaspec.proof.build import ProbeError, build_module
from teaspec.proof.inputs import Example
from teaspec.proof.limits import little_memory
from teaspec.proof.run import check_spec
from teaspec.proof.subject import Subject
from teaspec.runtime.calibrations.variants import matches
from tests.test_specs_are_data import FLUX


@pytest.fixture(autouse=True)
def what_others_left_is_not_looked_through() -> Iterator[None]:
    """Processor time is measured here; what thousands of tests left for the collector to walk through is none of it."""
    gc.collect()
    gc.freeze()
    yield
    gc.unfreeze()


def laughs() -> str:
    lines = ["a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 10)]
    return "\n".join(lines)


def junk() -> str:
    return random.Random(0).randbytes(30_000).decode("utf-8", "surrogateescape")


BOMBS: dict[str, Callable[[], str]] = {
    "a billion laughs": laughs,
    "nested brackets": lambda: "probe: " + "[" * 30_000,
    "nested brackets, closed": lambda: "probe: " + "[" * 15_000 + "]" * 15_000,
    "nested braces": lambda: "{a: " * 8_000,
    "nested blocks": lambda: "\n".join(" " * depth + f"a{depth}:" for depth in range(240)),
    "nested dashes": lambda: "a:\n" + "- " * 16_000,
    "question marks": lambda: "? " * 16_000,
    "a scalar of a megabyte": lambda: "teaspec: 1\nmodel: " + "a" * 2**20,
    "a quoted scalar of a megabyte": lambda: 'model: "' + "\\u0041" * 2**17 + '"\n',
    "a folded scalar": lambda: "model: >\n" + "  a\n" * 8_000,
    "ten megabytes": lambda: "a: 1\n" * 2_000_000,
    "thousands of keys": lambda: "\n".join(f"k{i}: 1" for i in range(3_500)),
    "thousands of equal keys": lambda: "k: 1\n" * 6_000,
    "thousands of tags": lambda: "\n".join(f"k{i}: !!python/none 1" for i in range(1_000)),
    "binary junk": junk,
    "zeros": lambda: "\0" * 30_000 + "\n",
    "comments": lambda: "#\n" * 16_000,
    "a long number": lambda: "teaspec: " + "9" * 1_999 + "\n",
    "a long exponent": lambda: "teaspec: 1e" + "9" * 1_900 + "\n",
    "infinity": lambda: FLUX.replace("[1, 2, 3, 4, 5]", "[.inf, -.inf, .nan, 1e999, 5]"),
    "a deep size": lambda: FLUX.replace("[batch, image, 4]", f"[{'(' * 900}batch{')' * 900}]"),
    "a long size": lambda: FLUX.replace("[batch, image, 4]", f"[{' * '.join(['batch'] * 200)}]"),
    "many unknown inputs": lambda: FLUX + "".join(f"    i{i}: {{x: {i}}}\n" for i in range(1_500)),
    "a huge tensor": lambda: FLUX.replace("[batch, image, 4]", "[999999999999, 999999999999, 4]"),
    "a huge product": lambda: FLUX.replace("[batch, image, 4]", f"[{' * '.join(['99999999'] * 11)}, image, 4]"),
    "a huge mask": lambda: FLUX.replace("[batch, image, 4]", "{mask: [999999999]}"),
    "many indices": lambda: FLUX.replace("[batch, image, 4]", "{indices: 1, below: 99999999999}"),
    "a huge integer": lambda: FLUX.replace("[batch, image, 4]", "{dim: 999999999 * 999999999}"),
    "a power": lambda: FLUX.replace("[batch, image, 4]", "[9 ** 9 ** 9, image, 4]"),
    "a repetition": lambda: FLUX.replace("[batch, image, 4]", "{repeat: 999999999, of: {list: []}}"),
    "repetitions": lambda: FLUX.replace("[batch, image, 4]", "{repeat: 999, of: " * 18 + "1" + "}" * 18),
    "repetitions in a case": lambda: f"{FLUX}  cases: [{{inputs: {{mode: {'{repeat: 99, of: ' * 16}1{'}' * 16}}}}}]\n",
    "parts of a tensor": lambda: FLUX.replace("[batch, image, 4]", f"{{concat: [{'[1], ' * 5_000}]}}"),
    "inputs times cases": lambda: probe(many("i{}: [a]", 200), many("{{dims: {{a: {}}}}}", 60)),
    "sizes times cases": lambda: probe(many(f"i{{}}: [{LONG}]", 200), many("{{dims: {{a: {}}}}}", 60)),
    "unknown dims": lambda: probe(many("i{}: [" + many("dmi{}", 7) + "]", 250), ""),
    "absent inputs": lambda: probe(many("in{}: 1", 250), ", ".join([f"{{inputs: {{{ABSENT}}}}}"] * 9)),
    "variants": lambda: teacache(many("v{}: {{match: {{a: 1}}}}", 1_300)),
    "variants that are told apart": lambda: teacache(many(APART, 32)) + "head: again",
    "values of a match": lambda: teacache("v: {match: {a: [" + many("'*{}*'", 4_000) + "]}}"),
}  # fmt: skip
ABSENT = ", ".join(f"ni{i}: {{absent: true}}" for i in range(120))
APART = "v{0}: {{match: {{a: [" + ", ".join(f"'*a*-{{0}}-*{i}-'" for i in range(16)) + "]}}}}"
LONG = "a - a + b - b + c - c + d - d + e - e + f - f + a * b - a * b"


def many(item: str, count: int) -> str:
    return ", ".join(item.format(number) for number in range(count))


def probe(inputs: str, cases: str) -> str:
    head, _, _ = FLUX.partition("probe:")
    ranges = "a: [0, 9], b: [0, 9], c: [0, 9], d: [0, 9], e: [0, 9], f: [0, 9], " + many("dim{}: 1", 58)
    return f"{head}probe:\n  dims: {{{ranges}}}\n  inputs: {{{inputs}}}\n  cases: [{cases}]\n"


def teacache(variants: str) -> str:
    head, _, _ = FLUX.partition("teacache:")
    return f"{head}teacache: {{variants: {{{variants}}}}}\n"


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_a_diagnostic_at_once(name: str) -> None:
    text = BOMBS[name]() + "\n"
    start = time.process_time()
    with pytest.raises(SpecError) as caught, little_memory(500 << 20):
        load_spec(text)
    message = str(caught.value)
    assert time.process_time() - start < 2
    assert len(message) < 50_000


LARGEST: dict[str, Callable[[], str]] = {
    "inputs times cases": lambda: probe(many("i{}: [a]", 32), many("{{dims: {{a: {}}}}}", 60)),
    "sizes times cases": lambda: probe(many(f"i{{}}: [{LONG}]", 32), many("{{dims: {{a: {}}}}}", 60)),
    "inputs": lambda: probe(many("i{}: [a, dim{}]".replace("{}]", "1]"), 256), ""),
    "variants": lambda: teacache(many(APART, 32)),
    "aliases": lambda: FLUX.replace("[Another]", f"[{many('A{}', 3_500)}]"),
    "a literal": lambda: FLUX.replace("[batch, image, 4]", f"{{literal: [{'[[[[1]]]], ' * 2_500}]}}"),
}


@pytest.mark.parametrize("name", LARGEST)
def test_the_largest_specs_are_read_at_once(name: str) -> None:
    start = time.process_time()
    with little_memory(500 << 20):
        load_spec(LARGEST[name]() + "\n")
    assert time.process_time() - start < 4


def test_the_largest_input_is_drawn_at_once() -> None:
    spec = load_spec(FLUX.replace("[batch, image, 4]", "[1024, 4095]"))
    example = Example(0, torch.float32, {"batch": 1, "image": 2, "text": 1}, frozenset(), None, 0, 0)
    subject = Subject(spec, import_model(spec), compile_spec)
    start = time.process_time()
    with little_memory(500 << 20):
        made = subject.arguments(example)
    assert time.process_time() - start < 2
    assert made.kwargs["hidden_states"].shape == (1024, 4095)


@pytest.mark.parametrize(
    "change",
    [{"num_layers": 10**9}, {"joint_attention_dim": 10**9}, {"joint_attention_dim": 10**15}, {"num_layers": -1}],
)
def test_a_config_is_no_bomb(change: dict[str, int]) -> None:
    spec = load_spec(FLUX)
    model = import_model(spec)
    start = time.process_time()
    with suppress(ProbeError):  # a number below 0 is taken for 0
        build_module(model, {**spec.probe.config, **change}, torch.float32, 0)
    assert time.process_time() - start < 8


def told(value: str, timestep: str = "[batch]") -> str:
    key = value.partition(":")[0]
    text = re.sub(rf"\b{key}: (\[[^\]]*\]|\w+)", value, FLUX, count=1) if value else FLUX
    return text.replace("timestep: {tensor: [batch], range: [0, 1]}", f"timestep: {timestep}")


OBJECT = "{{object: FluxTransformer2DModel, with: {{{}}}}}"
CACHE = "{{object: Cache, with: {{layers: {}}}}}"
TOO_MUCH: dict[str, Callable[[], str]] = {
    "an object of many layers": lambda: told("", OBJECT.format("num_layers: 100000")),
    "an object of a great width": lambda: told("", OBJECT.format("attention_head_dim: 100000")),
    "an object by its defaults": lambda: told("", OBJECT.format("")),
    "an object in an object": lambda: told("", OBJECT.format(f"guidance_embeds: {OBJECT.format('')}")),
    "objects again and again": lambda: told("", f"{{repeat: 999, of: {OBJECT.format('num_layers: 1')}}}"),
    "objects in a list": lambda: told("", f"{{list: [{', '.join([OBJECT.format('')] * 99)}]}}"),
    "a cache of many layers": lambda: told("", CACHE.format(10**9)),
    "a cache of fewer layers": lambda: told("", CACHE.format(2 * 10**5)),
    "caches again and again": lambda: told("", f"{{repeat: 999, of: {CACHE.format(10**5)}}}"),
    "caches of caches": lambda: told("", f"{{repeat: 99, of: {{repeat: 99, of: {CACHE.format(10**3)}}}}}"),
    "many blocks": lambda: told("num_layers: 1000000000"),
    "fewer blocks": lambda: told("num_layers: 100000"),
    "blocks of the other kind": lambda: told("num_single_layers: 100000"),
    "a great width": lambda: told("attention_head_dim: 100000"),
    "many heads": lambda: told("num_attention_heads: 100000"),
    "a great text": lambda: told("joint_attention_dim: 1000000000000"),
    "a great table": lambda: told("axes_dims_rope: [1000000000, 4, 8]"),
    "a table of a table": lambda: told("axes_dims_rope: [[1000000000]]"),
    "a negative width": lambda: told("attention_head_dim: -1000000000"),
    "a width that is a text": lambda: told("attention_head_dim: '1000000000'"),
    "a part of the largest size": lambda: told("", "{list: [[1024, 4095], [1024, 4095]]}"),
    "a mask of the largest size": lambda: told("", "{mask: [4096, 4096]}"),
    "a great table in a case": lambda: FLUX + "  cases: [{config: {pooled_projection_dim: 1000000000}}]\n",
}  # fmt: skip


@pytest.mark.parametrize("name", TOO_MUCH)
def test_what_takes_too_much_is_a_diagnostic_at_once(name: str) -> None:
    text = TOO_MUCH[name]()
    assert text != FLUX
    start = time.process_time()
    with pytest.raises((SpecError, ProbeError)), little_memory(500 << 20):
        check_spec(load_spec(text), examples=1)
    assert time.process_time() - start < 2


def test_a_pattern_of_many_stars_is_matched_at_once() -> None:
    start = time.process_time()
    assert not matches({"_name_or_path": ("*a" * 900 + "*b",)}, {"_name_or_path": "a" * 5_000})
    assert time.process_time() - start < 2
