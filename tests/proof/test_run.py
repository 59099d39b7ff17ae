"""`check_spec`: the report, and what ends a check before it begins."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
import torch
from torch._C import DispatchKey
from torch._ops import HigherOrderOperator
from torch.nn.attention.flex_attention import flex_attention
from torch.nn.functional import scaled_dot_product_attention

from teaspec.compiler import SpecError, load_spec
from teaspec.proof.build import ProbeError
from teaspec.proof.determinism import FreshInterpreter
from teaspec.proof.flops import count_flops
from teaspec.proof.render import render_report
from teaspec.proof.result import CachedState, CheckReport, Flops, Movement, PropertyResult
from teaspec.proof.run import check_spec, surroundings
from teaspec.runtime.calibrations import registry
from tests.proof import small
from tests.proof.small import SPEC


@pytest.fixture(scope="module")
def interpreter():
    with FreshInterpreter() as other:
        yield other


@pytest.fixture(scope="module")
def report(interpreter):
    return check_spec(load_spec(SPEC), examples=4, interpreter=interpreter, allow=["tests"])


def test_the_report(report):
    assert report.passed
    assert (report.spec, report.model) == ("<spec>", "tests.proof.small:SmallTransformer")
    assert [(mark.role, mark.label) for mark in report.landmarks] == [
        ("embed", "embed -> temb"),
        ("norm", "blocks.0.norm1"),
        ("loop", "blocks"),
        ("head", "norm_out"),
    ]
    lines = [line.strip() for line in Path(small.__file__).read_text(encoding="utf-8").splitlines()]
    for mark in report.landmarks:
        assert mark.file == "tests/proof/small.py"
        assert mark.source_line == lines[mark.line - 1]
    assert report.cached == CachedState(residuals=("hidden_states",), carried=())
    assert [sunk.text for sunk in report.sunk] == ["encoder_hidden_states = self.text_in(encoder_hidden_states)"]
    assert report.not_exercised == ()
    names = ["forward", "validate", "exact", "signal", "arguments", "computed", "reused", "reuse", "removed"]
    names += ["deterministic"]
    assert [result.name for result in report.properties] == names
    assert [result.examples for result in report.properties] == [4] * 9 + [1]
    json.dumps(report.as_dict())


def test_the_operations_are_those_of_the_largest_call(report):
    # multiply and add for each of: patch, text_in, embed, per block attn and text, proj_out
    batch, image, text, width = 3, 5, 4, 6
    prelude = batch * (image * 3 * width + width)
    head = batch * image * width * 3
    blocks = 2 * batch * (image + text) * width * width + batch * text * 5 * width
    assert report.flops == Flops(full=2 * (prelude + blocks + head), reused=2 * (prelude + head))
    assert report.flops.ratio == report.flops.reused / report.flops.full


def test_operations_that_cannot_be_counted_are_left_out(interpreter):
    text = SPEC.replace("small:SmallTransformer", "small:UnwatchedTransformer")
    report = check_spec(load_spec(text), examples=1, interpreter=interpreter, allow=["tests"])
    assert (report.passed, report.flops, report.as_dict()["flops"]) == (True, None, None)


def test_the_same_seed_gives_the_same_report(report, interpreter):
    told = []
    again = check_spec(load_spec(SPEC), examples=4, progress=told.append, interpreter=interpreter, allow=["tests"])
    assert again == report
    assert told == [result.name for result in report.properties]


def test_an_input_that_no_case_passes_is_named(interpreter):
    spec = load_spec(SPEC.replace("    scale?: 1.5\n", ""))
    assert check_spec(spec, examples=1, interpreter=interpreter, allow=["tests"]).not_exercised == ("scale",)


def test_an_input_that_the_spec_calls_untried_is_shown_with_the_reason(interpreter):
    text = SPEC.replace("    scale?: 1.5\n", "") + "  untried: {scale: nobody scales this}\n"
    report = check_spec(load_spec(text), examples=1, interpreter=interpreter, allow=["tests"])
    assert (report.untried, report.not_exercised) == ({"scale": "nobody scales this"}, ())
    assert "nobody scales this" in str(render_report(report))


def test_a_reason_for_an_argument_that_the_forward_does_not_take_is_refused(interpreter):
    text = SPEC.replace("    scale?: 1.5\n", "") + "  untried: {scala: nobody scales this}\n"
    with pytest.raises(ProbeError, match=r"`scala`.*did you mean `scale`"):
        check_spec(load_spec(text), examples=1, interpreter=interpreter, allow=["tests"])


def test_what_ends_a_check_before_it_begins(interpreter):
    with pytest.raises(ProbeError, match="no `probe`"):
        check_spec(load_spec(SPEC.partition("probe:")[0]), interpreter=interpreter, allow=["tests"])
    with pytest.raises(SpecError, match="unknown-model"):
        check_spec(
            load_spec(SPEC.replace("small:SmallTransformer", "small:Nothing")), interpreter=interpreter, allow=["tests"]
        )
    with pytest.raises(SpecError, match="unknown-head"):
        check_spec(load_spec(SPEC.replace("head: norm_out", "head: norm")), interpreter=interpreter, allow=["tests"])
    with pytest.raises(ProbeError, match="cannot be built"):
        check_spec(load_spec(SPEC.replace("width: 6", "widht: 6")), interpreter=interpreter, allow=["tests"])


def test_a_check_leaves_nothing_behind(report):
    assert "SmallTransformer" not in registry.known_types()


def test_surroundings_are_put_back():
    logger, threads = logging.getLogger("diffusers"), torch.get_num_threads()
    level = logger.level
    with pytest.raises(ZeroDivisionError), surroundings():
        assert torch.get_num_threads() == 1
        assert not logger.isEnabledFor(logging.WARNING)
        assert torch.compile(lambda: torch.compiler.is_compiling())() is False
        raise ZeroDivisionError
    assert (logger.level, torch.get_num_threads()) == (level, threads)


def test_numbers_that_json_does_not_know():
    failed = PropertyResult("exact", "A claim.", False, 1, "message", None, float("nan"))
    still = Movement(None, None, {})
    report = CheckReport("a", "b", (), CachedState((), ()), (), Flops(0, 0), still, {}, (), (), (failed,), "source")
    assert not report.passed
    data = json.loads(json.dumps(report.as_dict(), allow_nan=False))
    assert data["properties"][0]["max_abs_difference"] == "nan" and data["flops"]["ratio"] == "nan"
    assert "source" not in data and data["passed"] is False


@pytest.mark.parametrize(
    ("variant", "code", "shown"),
    [
        ("{signal: tmb}", "unknown-signal", "did you mean `temb`?"),
        ("{match: {layers: 3}}", "unknown-config-key", "the config of `SmallTransformer` has no `layers`"),
    ],
)
def test_variants_that_could_never_be_used_end_a_check(variant, code, shown, interpreter):
    spec = load_spec(SPEC.replace("probe:", f"teacache: {{variants: {{other: {variant}}}}}\nprobe:"))
    with pytest.raises(SpecError) as caught:  # the small model has no config at all
        check_spec(spec, examples=2, interpreter=interpreter, allow=["tests"])
    assert [diagnostic.code for diagnostic in caught.value.diagnostics] == [code]
    assert shown in str(caught.value)


class Doubled(HigherOrderOperator):
    """An operator that PyTorch has no formula for."""

    def __init__(self):
        super().__init__("doubled")

    def __call__(self, tensor):
        return super().__call__(tensor)


doubled = Doubled()
doubled.fallthrough(DispatchKey.AutogradCPU)
doubled.py_impl(DispatchKey.CompositeExplicitAutograd)(lambda tensor: 2 * tensor)


@pytest.mark.filterwarnings("ignore:flex_attention called without torch.compile")
def test_operators_of_operators_are_counted_where_there_is_a_formula():
    query = torch.ones(1, 1, 16, 16)
    with surroundings():
        assert count_flops(lambda: flex_attention(query, query, query)) == 2 * 2 * 16**3
    assert count_flops(lambda: query @ query) == 2 * 16**3
    assert count_flops(lambda: doubled(query)) is None


def test_attention_is_counted_on_the_cpu_too():
    query = torch.ones(1, 1, 16, 16)
    assert count_flops(lambda: scaled_dot_product_attention(query, query, query)) == 2 * 2 * 16**3
