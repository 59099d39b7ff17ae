"""check: document -> spec."""

from __future__ import annotations

import copy
import json
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import pydantic
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from teaspec.compiler.forms.expression import Expression, parse_expression
from teaspec.compiler.forms.frozen import Form
from teaspec.compiler.forms.probe import MAX_CASES, Case, Input, Probe
from teaspec.compiler.forms.spec import (
    IDENTITY,
    Blocks,
    CheckpointFacts,
    Embed,
    Spec,
    Streams,
    TeaCacheFacts,
    Threshold,
    Variant,
)
from teaspec.compiler.forms.values import (
    KINDS,
    Absent,
    Choice,
    Concat,
    Constant,
    DictOf,
    Dim,
    Indices,
    ListOf,
    Mask,
    Repeat,
    Tensor,
    TupleOf,
)
from teaspec.compiler.passes.check import check
from teaspec.compiler.passes.read import read
from teaspec.compiler.report import SpecError
from tests.compiler.test_read import YAML_PIECES, assert_inside, cut

SHIPPED = sorted((Path(__file__).parents[2] / "specs").glob("*.yaml"))

REFERENCE = Path(__file__).parents[2] / "docs" / "spec-reference.md"

SMALL: dict[str, Any] = {
    "teaspec": 1,
    "model": "package.module:Outer.Model",
    "embed": "time_embed -> temb",
    "norm": "blocks.0.norm1",
    "blocks": {"style": "single", "loops": ["blocks"]},
    "head": "norm_out",
}

FULL: dict[str, Any] = {
    **SMALL,
    "streams": {"hidden": "x", "encoder": "txt"},
    "signal": "temb",
    "bypass": ["kv_cache_mode"],
    "aliases": ["OtherModel"],
    "forward": "_forward_inference",
    "teacache": {
        "status": "borrowed",
        "coefficients": [1, -2.5, 3e2, 4, 5],
        "accumulate": "absolute",
        "source": "a paper",
        "thresholds": [{"thresh": 0.1, "speedup": 2, "note": "n"}, {"thresh": 1}],
        "note": "more",
        "variants": {
            "v-1.5": {"coefficients": [0, 0, 0, 1, 0], "source": "s", "signal": "norm", "warmup_steps": 5},
            "signed": {"accumulate": "signed"},
        },
    },
    "probe": {
        "config": {"num_layers": 2, "axes": [1, 2], "nested": {"a": None}},
        "dims": {"batch": [1, 3], "text": 4},
        "inputs": {
            "hidden_states": ["batch", "text + 1", 4],
            "timestep?": {"tensor": ["batch"], "range": [0, 1]},
            "ids": {"tensor": [], "dtype": "int64", "range": [0, 8]},
            "mask": {"mask": ["batch", "text"], "dtype": "int64"},
            "rows": {"indices": "text", "below": "2 * text"},
            "layout": {"concat": [["batch", 2], {"mask": ["batch", "text"]}]},
            "height": {"dim": "2 * text"},
            "mode": {"choice": ["a", 1, None]},
            "num_frames": 3,
            "flag": True,
            "nothing": None,
            "name": "plain",
            "shapes": {"repeat": "batch", "of": {"list": [{"tuple": [1, {"dim": "text"}]}]}},
            "kwargs": {"dict": {"scale": 0.5, "deep": {"dict": {}}}},
            "literal": {"literal": {"any": ["batch"]}},
        },
        "cases": [
            {"config": {"guidance": True}, "inputs": {"guidance": ["batch"], "mode": {"absent": True}}},
            {"dims": {"text": [1, 2], "extra": 1}, "inputs": {"timestep": ["extra"]}},
        ],
    },
}


def spec_from(data: dict[str, Any]) -> Spec:
    return check(read(json.dumps(data, indent=2), "a.yaml"))


def changed(change: dict[str, Any], base: dict[str, Any] = FULL) -> dict[str, Any]:
    """Returns the base with values replaced or added; a key is a path with dots."""
    data = copy.deepcopy(base)
    for path, value in change.items():
        *holders, last = path.split(".")
        holder = data
        for step in holders:
            holder = holder[step]
        holder[last] = value
    return data


def block(value: object, indent: int) -> str:
    """Returns a collection as it stands in a text, `indent` spaces from the left."""
    return json.dumps(value, indent=2).replace("\n", "\n" + " " * indent)


def mistakes_in(data: dict[str, Any]) -> list[tuple[str, str]]:
    """Returns the code, and the text that is marked, of every diagnostic."""
    document = read(json.dumps(data, indent=2), "a.yaml")
    with pytest.raises(SpecError) as caught:
        check(document)
    return [(d.code, cut(document, d.labels[0].span)) for d in caught.value.diagnostics]


def test_small_spec_has_the_documented_defaults() -> None:
    spec = spec_from(SMALL)
    assert spec.embed == Embed(call="time_embed", names=("temb",))
    assert (spec.class_name, spec.forward, spec.signal, spec.bypass, spec.aliases) == (
        "Model",
        "forward",
        "norm",
        (),
        (),
    )
    assert spec.streams == Streams(hidden="hidden_states", encoder="encoder_hidden_states")
    assert spec.teacache == TeaCacheFacts(status="none", coefficients=IDENTITY, accumulate="signed", source=None)
    assert spec.probe == Probe()


def test_full_spec_is_read_as_written() -> None:
    spec = spec_from(FULL)
    assert (spec.signal, spec.bypass, spec.aliases) == ("temb", ("kv_cache_mode",), ("OtherModel",))
    assert spec.blocks == Blocks(style="single", loops=("blocks",))
    facts = spec.teacache
    assert (facts.status, facts.coefficients, facts.accumulate) == (
        "borrowed",
        (1.0, -2.5, 300.0, 4.0, 5.0),
        "absolute",
    )
    assert facts.thresholds == (Threshold(thresh=0.1, speedup=2.0, note="n"), Threshold(thresh=1.0))
    assert facts.variants["v-1.5"].warmup_steps == 5


def test_spec_knows_its_document() -> None:
    document = read(json.dumps(SMALL), "a.yaml")
    assert check(document).document is document


def test_spec_made_in_python_has_no_document() -> None:
    with pytest.raises(ValueError, match="not read from a document"):
        _ = Spec.model_validate(SMALL).document


def test_specs_are_frozen() -> None:
    with pytest.raises(pydantic.ValidationError):
        spec_from(SMALL).head = "other"  # type: ignore[misc]


@pytest.mark.parametrize(
    ("model", "class_name"), [("diffusers.Flux", "Flux"), ("a.b.c:D", "D"), ("a:B.C", "C"), ("a.b_1.C", "C")]
)
def test_class_name_is_the_last_part_of_the_import_path(model: str, class_name: str) -> None:
    assert spec_from(changed({"model": model})).class_name == class_name


def test_coefficients_without_status_are_published() -> None:
    facts = {"coefficients": [1, 2, 3, 4, 5], "source": "s"}
    assert spec_from(changed({"teacache": facts})).teacache.status == "published"
    assert spec_from(changed({"teacache": {"note": "uncalibrated"}})).teacache.status == "none"


def test_variants_inherit_how_to_accumulate_and_nothing_else() -> None:
    spec = spec_from(FULL)
    assert {name: variant.accumulate for name, variant in spec.teacache.variants.items()} == {
        "v-1.5": "absolute",
        "signed": "signed",
    }
    variant = spec.teacache.variants["signed"]
    assert (variant.coefficients, variant.status, variant.source, variant.signal) == (IDENTITY, "none", None, None)


def test_values_of_the_probe_have_their_kinds() -> None:
    inputs = spec_from(FULL).probe.inputs
    batch, text = parse_expression("batch"), parse_expression("text")
    assert {name: given.value for name, given in inputs.items()} == {
        "hidden_states": Tensor(tensor=(batch, parse_expression("text + 1"), parse_expression("4"))),
        "timestep": Tensor(tensor=(batch,), range=(0.0, 1.0)),
        "ids": Tensor(tensor=(), dtype="int64", range=(0.0, 8.0)),
        "mask": Mask(mask=(batch, text), dtype="int64"),
        "rows": Indices(indices=text, below=parse_expression("2 * text")),
        "layout": Concat(concat=(Tensor(tensor=(batch, parse_expression("2"))), Mask(mask=(batch, text)))),
        "height": Dim(dim=parse_expression("2 * text")),
        "mode": Choice(choice=("a", 1, None)),
        "num_frames": Constant(literal=3),
        "flag": Constant(literal=True),
        "nothing": Constant(literal=None),
        "name": Constant(literal="plain"),
        "shapes": Repeat(repeat=batch, of=ListOf(list=(TupleOf(tuple=(Constant(literal=1), Dim(dim=text))),))),
        "kwargs": DictOf(dict={"scale": Constant(literal=0.5), "deep": DictOf(dict={})}),
        "literal": Constant(literal={"any": ["batch"]}),
    }
    assert [name for name, given in inputs.items() if given.optional] == ["timestep"]


def test_dims_are_pairs() -> None:
    assert spec_from(FULL).probe.dims == {"batch": (1, 3), "text": (4, 4)}


def test_cases_replace_add_and_leave_out() -> None:
    probe = spec_from(FULL).probe
    base, first, second = probe.alternatives
    assert base == probe.merged(None)
    assert (base.config, base.dims, base.inputs, base.cases) == (probe.config, probe.dims, probe.inputs, ())
    assert first.config == {**probe.config, "guidance": True}
    assert first.inputs.keys() == (probe.inputs.keys() | {"guidance"}) - {"mode"}
    assert second.dims == {"batch": (1, 3), "text": (1, 2), "extra": (1, 1)}
    assert second.inputs["timestep"] == Input.model_validate(second.inputs["timestep"])
    assert second.inputs["timestep"].value == Tensor(tensor=(parse_expression("extra"),))
    assert not second.inputs["timestep"].optional
    assert probe.merged(Case(config={"num_layers": 3})).config["num_layers"] == 3


def test_absent_stands_in_cases() -> None:
    case = spec_from(FULL).probe.cases[0]
    assert case.inputs["mode"].value == Absent(absent=True)


@pytest.mark.parametrize(
    ("text", "dims", "value"),
    [
        ("4", {}, 4),
        (" batch ", {"batch": 3}, 3),
        ("a + b * c", {"a": 1, "b": 2, "c": 3}, 7),
        ("(a + b) * c", {"a": 1, "b": 2, "c": 3}, 9),
        ("a - b - c", {"a": 9, "b": 2, "c": 3}, 4),
        ("a // b // c", {"a": 17, "b": 2, "c": 3}, 2),
        ("a - (b - c)", {"a": 9, "b": 2, "c": 3}, 10),
        ("a // b", {"a": -7, "b": 2}, -4),
        ("2*a_1//3", {"a_1": 4}, 2),
        ("((((a))))", {"a": 1}, 1),
    ],
)
def test_expressions_evaluate(text: str, dims: dict[str, int], value: int) -> None:
    expression = parse_expression(text)
    assert expression.evaluate(dims) == value
    assert sorted(expression.names) == sorted(dims)
    assert str(expression) == text.strip()


SIZES = st.recursive(
    st.integers(0, 99).map(str) | st.sampled_from("ab"),
    lambda e: st.builds("({} {} {})".format, e, st.sampled_from(["+", "-", "*", "//"]), e),
    max_leaves=6,
)


@given(
    SIZES,
    st.integers(0, 9),
    st.integers(0, 9),
)
def test_expressions_evaluate_as_python_does(text: str, a: int, b: int) -> None:
    try:
        expected = eval(text, {}, {"a": a, "b": b})
    except ZeroDivisionError:
        with pytest.raises(ZeroDivisionError):
            parse_expression(text).evaluate({"a": a, "b": b})
    else:
        assert parse_expression(text).evaluate({"a": a, "b": b}) == expected


@given(SIZES, st.tuples(*[st.integers(0, 9)] * 4))
def test_no_value_lies_outside_the_bounds(text: str, ends: tuple[int, int, int, int]) -> None:
    dims = {"a": (min(ends[:2]), max(ends[:2])), "b": (min(ends[2:]), max(ends[2:]))}
    size = parse_expression(text)
    low, high = size.bounds(dims)
    for a in range(dims["a"][0], dims["a"][1] + 1):
        for b in range(dims["b"][0], dims["b"][1] + 1):
            with suppress(ZeroDivisionError):
                assert low <= size.evaluate({"a": a, "b": b}) <= high


def test_the_bounds_of_plain_sizes_are_reached() -> None:
    dims = {"a": (2, 5), "b": (0, 3)}
    found = [
        parse_expression(text).bounds(dims) for text in ("7", "a", "a + b", "a - b", "a * b", "a // b", "b - a * a")
    ]
    assert found == [(7, 7), (2, 5), (2, 8), (-1, 5), (0, 15), (0, 5), (-25, -1)]


def test_expression_without_a_value_for_a_dim_says_which() -> None:
    with pytest.raises(KeyError, match="text"):
        parse_expression("batch + text").evaluate({"batch": 1})


@pytest.mark.parametrize(
    "text",
    ["", " ", "+", "a +", "a b", "(a", "a)", "()", "a ** 2", "-a", "a.b", "a[0]", "f(a)", "a / 2", "1.5",
     "a if b else c", "__import__('os')", "é", "1a", "a,",
     "9" * 13, "a" * 121, "(" * 18 + "a" + ")" * 18, "a\n+", "a;b", "a % 2", "~a"],
)  # fmt: skip
def test_what_is_no_expression_is_refused(text: str) -> None:
    data = changed(
        {"probe.inputs.height": {"dim": text}, "probe.dims": {"batch": 1, "text": 4, "a": 1, "b": 1, "c": 1}}
    )
    assert [code for code, _ in mistakes_in(data)] == ["bad-size"]


@pytest.mark.parametrize(
    ("change", "code", "marked"),
    [
        ({"norm": "blocks.first.norm1"}, None, None),
        ({"norm": "a.b.0.c.1"}, None, None),
        ({"norm": "blocks.00.norm"}, "bad-norm-path", '"blocks.00.norm"'),
        ({"norm": "blocks.-1.norm"}, "bad-norm-path", '"blocks.-1.norm"'),
        ({"norm": "0.blocks.norm"}, "bad-norm-path", '"0.blocks.norm"'),
        ({"norm": "blocks..norm"}, "bad-norm-path", '"blocks..norm"'),
        ({"norm": "blocks.0"}, "bad-norm-path", '"blocks.0"'),
        ({"norm": "blocks.0.__class__"}, "bad-norm-path", '"blocks.0.__class__"'),
        ({"norm": "self.blocks.0.norm"}, "not-a-name", '"self.blocks.0.norm"'),
        ({"embed": "a.b -> c"}, None, None),
        ({"embed": "a->b"}, None, None),
        ({"embed": "a -> b or c or orb"}, None, None),
        ({"embed": "none"}, None, None),
        ({"embed": "a -> or b"}, "bad-embed", '"a -> or b"'),
        ({"embed": "a -> b -> c"}, "not-a-name", '"a -> b -> c"'),
        ({"embed": "a() -> b"}, "not-a-name", '"a() -> b"'),
        ({"embed": ""}, "bad-embed", '""'),
        ({"head": "a.b.c"}, None, None),
        ({"head": "é"}, "not-a-name", '"\\u00e9"'),
        ({"head": "a\u200b"}, "not-a-name", '"a\\u200b"'),
        ({"model": "a"}, "bad-import-path", '"a"'),
        ({"model": ":a"}, "bad-import-path", '":a"'),
        ({"model": "a:"}, "bad-import-path", '"a:"'),
        ({"model": "a:b:c"}, "bad-import-path", '"a:b:c"'),
        ({"model": "a..b"}, "bad-import-path", '"a..b"'),
        ({"model": "os.system('x')"}, "bad-import-path", "\"os.system('x')\""),
        ({"teaspec": 1.0}, "wrong-type", "1.0"),
        ({"teaspec": 0}, "unsupported-version", "0"),
        ({"aliases": ["Model"]}, "repeated-name", '"Model"'),
        ({"aliases": ["a.B"]}, "not-a-name", '"a.B"'),
        ({"bypass": [["a"]]}, "wrong-type", block(["a"], 4)),
        ({"bypass": ["a", "b = c", "d.0.e = f", "g.h"]}, None, None),
        ({"bypass": ["0.a"]}, "bad-bypass", '"0.a"'),
        ({"bypass": ["a = "]}, "bad-bypass", '"a = "'),
        ({"bypass": ["a", "a"]}, "repeated-name", '"a"'),
        ({"teacache.coefficients": [1, 2, 3, 4, True]}, "wrong-type", "true"),
        ({"teacache.coefficients": []}, "wrong-length", "[]"),
        ({"teacache.accumulate": "unsigned"}, "wrong-value", '"unsigned"'),
        ({"teacache.variants.x": {"source": "", "accumulate": "signed"}}, "wrong-value", '""'),
        ({"probe.dims.batch": True}, "bad-dim", "true"),
        ({"probe.dims.batch": [1, 2, 3]}, "bad-dim", block([1, 2, 3], 6)),
        ({"probe.dims.batch": -1}, "bad-dim", "-1"),
        ({"probe.dims.extra": 0}, None, None),
        ({"probe.inputs.x": [True]}, "bad-size", "true"),
        ({"probe.inputs.x": [["batch"]]}, "bad-size", block(["batch"], 8)),
        ({"probe.inputs.x": []}, None, None),
        ({"probe.inputs.x": "batch"}, "literal-names-a-dim", '"batch"'),
        ({"probe.inputs.x": {"literal": "batch"}}, None, None),
        ({"probe.inputs.x": {"dict": {"y": "batch"}}}, "literal-names-a-dim", '"batch"'),
        ({"probe.inputs.x": {"dim": "1 - batch"}}, None, None),
        ({"probe.inputs.x": {"dim": "1 // (batch - 1)"}}, "impossible-size", '"1 // (batch - 1)"'),
        ({"probe.inputs.x": {"repeat": "batch - 2", "of": 1}}, "impossible-size", '"batch - 2"'),
        ({"probe.inputs.x": {"indices": 2, "below": 3, "from": "batch"}}, "impossible-size", "3"),
        ({"probe.inputs.x": {"indices": 1, "below": 3, "from": "batch - 2"}}, "impossible-size", '"batch - 2"'),
        ({"probe.inputs.x": {"mask": [1], "dim": 1}}, "several-value-kinds", block({"mask": [1], "dim": 1}, 6)),
        ({"probe.inputs.x": {"tensor": [], "integer": True}}, "missing-range",
         block({"tensor": [], "integer": True}, 6)),
        ({"probe.inputs.x": {"tensor": [1], "dtype": "bool"}}, None, None),
        ({"probe.inputs.x": {"tensor": [1], "dtype": "bool", "range": [1, 1]}}, None, None),
        ({"probe.inputs.x": {"list": [{"absent": True}]}}, "misplaced-absent", block({"absent": True}, 10)),
    ],
)  # fmt: skip
def test_one_change_gives_one_message_or_none(change: dict[str, Any], code: str | None, marked: str | None) -> None:
    data = changed(change)
    if code is None:
        spec_from(data)
    else:
        assert mistakes_in(data) == [(code, marked)]


def test_number_of_cases_is_bounded() -> None:
    case = {"config": {"a": 1}}
    assert len(spec_from(changed({"probe.cases": [case] * MAX_CASES})).probe.cases) == MAX_CASES
    assert [code for code, _ in mistakes_in(changed({"probe.cases": [case] * (MAX_CASES + 1)}))] == ["wrong-length"]


def test_all_mistakes_are_reported_together_in_order() -> None:
    data = changed(
        {
            "model": "Model",
            "blocks": {"stile": "single", "loops": ["a", "a"]},
            "streams": {"hidden": "x", "encoder": "x"},
            "teacache.status": "none",
            "probe.inputs.hidden_states": ["bach"],
            "probe.cases": [{}],
        }
    )
    assert [code for code, _ in mistakes_in(data)] == [
        "bad-import-path",
        "unknown-key",
        "repeated-name",
        "repeated-name",
        "status-mismatch",
        "unknown-dim",
        "empty-case",
    ]


def test_a_misspelt_key_is_not_also_missing() -> None:
    data = {("haed" if key == "head" else key): value for key, value in SMALL.items()}
    assert mistakes_in(data) == [("unknown-key", '"haed"')]


FORM_PLACES = {
    Spec: "",
    Blocks: "blocks.",
    Streams: "streams.",
    TeaCacheFacts: "teacache.",
    Variant: "teacache.variants.signed.",
    Probe: "probe.",
}


@pytest.mark.parametrize("form", FORM_PLACES, ids=lambda form: form.__name__)
def test_unknown_keys_are_offered_the_keys_of_their_form(form: type[Form]) -> None:
    with pytest.raises(SpecError) as caught:
        spec_from(changed({f"{FORM_PLACES[form]}zzz": 1}))
    (diagnostic,) = caught.value.diagnostics
    known = ", ".join(f"`{field.alias or name}`" for name, field in form.model_fields.items())
    assert (diagnostic.code, diagnostic.help) == ("unknown-key", (f"known keys here: {known}",))


@pytest.mark.parametrize("path", [("teacache", "thresholds", 0), ("probe", "cases", 0)])
def test_unknown_keys_of_list_items_are_found(path: tuple[str | int, ...]) -> None:
    data: Any = copy.deepcopy(FULL)
    holder = data
    for step in path:
        holder = holder[step]
    holder["zzz"] = 1
    assert mistakes_in(data) == [("unknown-key", '"zzz"')]


@pytest.mark.parametrize("kind", KINDS)
def test_unknown_keys_of_values_are_offered_the_keys_of_their_kind(kind: str) -> None:
    content: dict[str, Any] = {
        "tensor": [1], "mask": [1], "indices": 1, "concat": [[1]], "dim": 1, "choice": [1], "repeat": 1, "list": [],
        "tuple": [], "dict": {}, "object": "Store", "literal": 1, "absent": True,
    }  # fmt: skip
    value = {kind: content[kind], **{"repeat": {"of": 1}, "indices": {"below": 1}}.get(kind, {}), "zzz": 1}
    with pytest.raises(SpecError) as caught:
        spec_from(changed({"probe.cases": [{"inputs": {"mode": value}}]}))
    (diagnostic,) = caught.value.diagnostics
    known = ", ".join(f"`{field.alias}`" if field.alias else f"`{n}`" for n, field in KINDS[kind].model_fields.items())
    assert (diagnostic.code, diagnostic.help) == ("unknown-key", (f"known keys here: {known}",))


def test_forms_of_the_same_kind_share_their_keys() -> None:
    assert set(Variant.model_fields) > set(CheckpointFacts.model_fields)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_shipped_specs_are_well_formed(path: Path) -> None:
    spec = check(read(path.read_text(encoding="utf-8"), path.name))
    assert spec.probe.inputs
    assert all(
        isinstance(size, Expression)
        for given in spec.probe.inputs.values()
        if isinstance(given.value, Tensor)
        for size in given.value.shape
    )


@pytest.mark.parametrize("text", re.findall(r"```yaml\n(.*?)```", REFERENCE.read_text(encoding="utf-8"), re.DOTALL))
def test_examples_of_the_reference_are_well_formed(text: str) -> None:
    assert check(read(text, "docs/spec-reference.md")).probe.inputs


def test_reference_names_every_key() -> None:
    text = REFERENCE.read_text(encoding="utf-8")
    forms: list[type[Form]] = [Spec, Blocks, TeaCacheFacts, Variant, Probe, Tensor]
    keys = {field.alias or name for form in forms for name, field in form.model_fields.items()} | KINDS.keys()
    assert [key for key in sorted(keys) if f"`{key}`" not in text and f"`{{{key}: " not in text] == []


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.sampled_from(["", "batch", "x -> y", "a.0.b", "self.x", "none", "zzz", "1 //"])
)
KEYS = st.sampled_from(
    [
        *KINDS,
        *Spec.model_fields,
        "of",
        "dtype",
        "range",
        "integer",
        "config",
        "dims",
        "inputs",
        "cases",
        "x?",
        "x",
        "[key]",
        "value",
        "zzz",
        "",
    ]
)
JUNK = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3), max_leaves=6
)


def paths_in(value: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(deeper for key, item in items for deeper in paths_in(item, (*path, key)))]


def assert_ends_in_a_spec_or_in_messages(text: str) -> None:
    try:
        document = read(text, "a.yaml")
    except SpecError:
        return  # tests/compiler/test_read.py looks at these
    try:
        spec = check(document)
    except SpecError as error:
        lines = document.text.split("\n")
        for diagnostic in error.diagnostics:
            for label in diagnostic.labels:
                assert_inside(label.span, lines)
                assert label.line_text == lines[label.span.line - 1]
            said = " ".join([diagnostic.message, *diagnostic.help])
            assert "pydantic" not in said
            assert "\0" not in said
            assert "cannot stand here" not in said, "an error of pydantic's that has no sentence of ours"
    else:
        assert spec.document is document
        assert len(spec.probe.alternatives) == len(spec.probe.cases) + 1


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_any_change_to_the_data_ends_in_a_spec_or_in_messages(data: st.DataObject) -> None:
    changed_data: Any = copy.deepcopy(FULL)
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(paths_in(changed_data)[1:]))
        holder = changed_data
        for step in path[:-1]:
            holder = holder[step]
        action = data.draw(st.sampled_from(["replace", "remove", "add"]))
        if action == "replace":
            holder[path[-1]] = data.draw(JUNK)
        elif action == "remove":
            del holder[path[-1]]
        elif isinstance(holder, dict):
            holder[data.draw(KEYS)] = data.draw(JUNK)
        if not paths_in(changed_data)[1:]:
            break
    text = json.dumps(changed_data, indent=data.draw(st.sampled_from([None, 1])))
    text = text.replace("NaN", ".nan").replace("-Infinity", "-.inf").replace("Infinity", ".inf")
    assert_ends_in_a_spec_or_in_messages(text)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(SHIPPED), st.data())
def test_any_change_to_the_text_of_a_spec_ends_in_a_spec_or_in_messages(path: Path, data: st.DataObject) -> None:
    text = path.read_text(encoding="utf-8")
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        length = data.draw(st.integers(0, 20))
        text = text[:start] + data.draw(YAML_PIECES | st.text(max_size=3)) + text[start + length :]
    assert_ends_in_a_spec_or_in_messages(text)


@given(st.text() | st.lists(YAML_PIECES, max_size=40).map("".join))
def test_any_text_ends_in_a_spec_or_in_messages(text: str) -> None:
    assert_ends_in_a_spec_or_in_messages(text)
