"""What is drawn keeps to the probe, covers it, and repeats itself."""

from __future__ import annotations

import inspect
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from teaspec.compiler import load_spec
from teaspec.compiler.passes.import_model import import_model
from teaspec.compiler.rules.objects import own_classes
from teaspec.proof.compare import same_value
from teaspec.proof.draw import describe, examples
from teaspec.proof.falsify import falsify
from teaspec.proof.fitting import fit_probe
from teaspec.proof.inputs import Example, make_arguments

SPECS = sorted(Path(__file__).parents[2].glob("specs/*.yaml"))

HEAD = """\
teaspec: 1
model: tests.proof.small:SmallTransformer
embed: embed -> temb
norm: blocks.0.norm1
blocks: {style: dual, loops: [blocks]}
head: norm_out
"""


def draw_all(strategy, count=50, seed=0):
    drawn = []
    assert falsify(strategy, drawn.append, examples=count, seed=seed).failing is None
    return drawn


def parameters_of(*names, **defaults):
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    required = [inspect.Parameter(name, kind) for name in names]
    optional = [inspect.Parameter(name, kind, default=default) for name, default in defaults.items()]
    return {parameter.name: parameter for parameter in [*required, *optional]}


def probe_of(text):
    return load_spec(HEAD + "probe:\n" + text).probe


def one_value(form, dims="{batch: [2, 2], text: [5, 5]}", **changes):
    probe = probe_of(f"  dims: {dims}\n  inputs: {{x: {form}}}\n")
    example = Example(0, torch.bfloat16, {"batch": 2, "text": 5}, frozenset(), None, 0, 7)
    return make_arguments(probe, replace(example, **changes), parameters_of("x")).kwargs["x"]


@pytest.mark.parametrize(
    "path",
    [pytest.param(path, id=path.stem, marks=[pytest.mark.thorough] if n % 6 else []) for n, path in enumerate(SPECS)],
)
def test_fifty_examples_a_case_cover_a_shipped_probe(path):
    spec = load_spec(path)
    model = import_model(spec, allow=["tests"])
    parameters = dict(list(inspect.signature(model.forward).parameters.items())[1:])
    alternatives = fit_probe(spec, model, parameters).alternatives  # of what the installed version has
    # An input that one case alone passes is in one of so many calls, so each case brings fifty of its own.
    strategy = examples(alternatives, parameters)
    drawn = [example for seed in range(len(alternatives)) for example in draw_all(strategy, seed=seed)]
    assert len(drawn) == 50 * len(alternatives)
    assert {example.case for example in drawn} == set(range(len(alternatives)))
    assert {example.dtype for example in drawn} == {torch.float32, torch.bfloat16}
    wanted = {None, True, False} if "return_dict" in parameters else {None}
    assert {example.return_dict for example in drawn} == wanted
    for example in drawn:
        for name, (low, high) in alternatives[example.case].dims.items():
            assert low <= example.dims[name] <= high
    passed, positional = set(), set()
    for example in drawn:
        given = make_arguments(alternatives[example.case], example, parameters, own_classes(model))
        by_position = dict(zip(parameters, given.args, strict=False))
        positional |= {name for name, value in by_position.items() if value is not None}
        passed |= {name for name, value in {**by_position, **given.kwargs}.items() if value is not None}
    named = {name for alternative in alternatives for name in alternative.inputs}
    assert passed - {"return_dict"} == named, "an input that is never passed proves nothing"
    assert positional >= named, "every input is also passed by position"


def test_the_same_seed_draws_the_same_and_another_seed_something_else():
    probe = probe_of("  dims: {batch: [1, 9]}\n  inputs: {x: [batch, 3]}\n")
    strategy = examples((probe,), parameters_of("x", return_dict=True))
    assert draw_all(strategy, seed=1) == draw_all(strategy, seed=1)
    assert draw_all(strategy, seed=1) != draw_all(strategy, seed=2)


def test_no_return_dict_is_passed_to_a_forward_without_one():
    probe = probe_of("  dims: {batch: [1, 9]}\n  inputs: {x: [batch, 3]}\n")
    assert {example.return_dict for example in draw_all(examples((probe,), parameters_of("x")))} == {None}


def test_a_case_is_merged_over_the_base():
    probe = probe_of(
        "  config: {width: 4}\n"
        "  dims: {batch: [1, 2]}\n"
        "  inputs: {x: [batch, 3], y?: [batch]}\n"
        "  cases:\n"
        "    - {dims: {batch: 7}, inputs: {x: [batch, 5], y: {absent: true}}}\n"
    )
    parameters = parameters_of("x", y=None)
    drawn = draw_all(examples(probe.alternatives, parameters))
    shapes = {0: set(), 1: set()}
    for example in drawn:
        kwargs = make_arguments(probe.alternatives[example.case], replace(example, positional=0), parameters).kwargs
        shapes[example.case].add((tuple(kwargs["x"].shape), "y" in kwargs))
    assert shapes[1] == {((7, 5), False)}
    assert shapes[0] == {((batch, 3), given) for batch in (1, 2) for given in (True, False)}


def test_tensors():
    plain = one_value("[batch, text - 2]")
    assert plain.shape == (2, 3) and plain.dtype == torch.bfloat16
    assert plain.unique().numel() > 1
    fixed = one_value("{tensor: [text * 40], dtype: float32, range: [-2, 3]}")
    assert fixed.dtype == torch.float32 and -2 <= fixed.min() < -1 and 2 < fixed.max() <= 3
    whole = one_value("{tensor: [200], range: [0, 3], integer: true}")
    assert whole.dtype == torch.bfloat16 and set(whole.tolist()) == {0, 1, 2, 3}
    integers = one_value("{tensor: [200], dtype: int64, range: [5, 7]}")
    assert integers.dtype == torch.int64 and set(integers.tolist()) == {5, 6, 7}
    turns = one_value("{tensor: [200], dtype: complex64}")
    assert turns.dtype == torch.complex64 and turns.real.unique().numel() > 1 and turns.imag.unique().numel() > 1
    truths = one_value("{tensor: [200], dtype: bool}")
    assert truths.dtype == torch.bool and set(truths.tolist()) == {True, False}
    assert one_value("[]").shape == ()


def test_masks_keep_a_beginning_of_at_least_one():
    lengths = set()
    for seed in range(40):
        mask = one_value("{mask: [batch, text], dtype: int64}", seed=seed)
        assert mask.shape == (2, 5) and mask.dtype == torch.int64
        for row in mask.tolist():
            assert row == sorted(row, reverse=True) and row[0] == 1 and set(row) <= {0, 1}
            lengths.add(sum(row))
    assert lengths == {1, 2, 3, 4, 5}
    assert one_value("{mask: [batch, 2, text]}").shape == (2, 2, 5)
    assert one_value("{mask: [text]}").dtype == torch.bool


def test_joined_tensors_stand_in_their_order():
    off, on = "{tensor: [2, text], dtype: bool, range: [0, 0]}", "{tensor: [2, 2], dtype: bool, range: [1, 1]}"
    joined = one_value(f"{{concat: [{off}, {on}]}}")
    assert joined.dtype == torch.bool
    assert joined.tolist() == [[False] * 5 + [True] * 2] * 2


def test_indices_are_different_and_rise():
    drawn = [one_value("{indices: batch, below: text}", seed=seed) for seed in range(40)]
    assert {tuple(indices.tolist()) for indices in drawn} == {(a, b) for b in range(5) for a in range(b)}
    assert drawn[0].dtype == torch.int64
    assert one_value("{indices: text, below: text}").tolist() == [0, 1, 2, 3, 4]
    assert one_value("{indices: batch, from: text, below: text + batch}").tolist() == [5, 6]


def test_structures_and_plain_values():
    assert one_value("{dim: (batch + text) // 2}") == 3
    assert one_value("3") == 3 and one_value("null") is None and one_value("true") is True and one_value("a") == "a"
    assert one_value("{literal: [1, 2]}") == [1, 2]
    shapes = one_value("{repeat: batch, of: {list: [{tuple: [1, {dim: text}]}]}}")
    assert shapes == [[(1, 5)], [(1, 5)]]
    nested = one_value("{dict: {scale: 0.5, x: {tuple: [[batch], [text]]}}}")
    assert nested["scale"] == 0.5 and [len(item) for item in nested["x"]] == [2, 5]
    assert list(one_value('{dict: {"0": [batch], "-1": a}, integer: true}')) == [0, -1]
    assert {one_value("{choice: [a, b, null]}", seed=seed) for seed in range(30)} == {"a", "b", None}
    first, second = one_value("{repeat: batch, of: [text]}")
    assert not torch.equal(first, second)


def test_objects_of_given_classes():
    probe = probe_of(
        "  dims: {batch: [2, 2]}\n"
        "  inputs: {x: {list: [{object: Store, with: {size: {dim: batch}}, set: {kept: [batch]}}, {object: Store}]}}\n"
    )

    class Store:
        def __init__(self, size=0):
            self.size, self.kept = size, None

    example = Example(0, torch.float32, {"batch": 2}, frozenset(), None, 0, 0)
    given = [make_arguments(probe, example, parameters_of("x"), {"Store": Store}).kwargs["x"] for _ in range(2)]
    assert [type(store) for store in given[0]] == [Store, Store]
    assert (given[0][0].size, given[0][0].kept.shape, given[0][1].size, given[0][1].kept) == (2, (2,), 0, None)
    assert given[0][0] is not given[1][0] and same_value(*given)


def test_arguments_are_new_on_each_call_and_equal():
    probe = probe_of("  dims: {batch: [2, 2]}\n  inputs: {x: [batch, 3], y: {dict: {a: [batch]}}}\n")
    example = Example(0, torch.float32, {"batch": 2}, frozenset(), True, 1, 0)
    parameters = parameters_of("x", "y", return_dict=False)
    first, second = (make_arguments(probe, example, parameters) for _ in range(2))
    assert same_value(first.args, second.args) and same_value(first.kwargs, second.kwargs)
    first.args[0].zero_()
    first.kwargs["y"]["a"].zero_()
    assert not same_value(first.args, second.args) and not same_value(first.kwargs, second.kwargs)


def test_a_later_step_has_other_numbers_and_the_same_structure():
    forms = [
        "[batch, 3]",
        "{mask: [batch, text]}",
        "{indices: batch, below: 2 * text}",
        "{choice: [1, 2, 3, 4]}",
        "{tensor: [99], dtype: int64, range: [0, 9]}",
    ]
    same = [same_value(one_value(form, step=0), one_value(form, step=1)) for form in forms]
    assert same == [False, True, True, True, False]


def test_dropping_an_input_leaves_the_others_alone():
    probe = probe_of("  dims: {batch: [2, 2]}\n  inputs: {x?: [batch, 3], y: [batch, 3]}\n")
    example = Example(0, torch.float32, {"batch": 2}, frozenset({"x"}), None, 0, 0)
    parameters = parameters_of("x", "y")
    both = make_arguments(probe, example, parameters).kwargs
    alone = make_arguments(probe, replace(example, present=frozenset()), parameters).kwargs
    assert list(alone) == ["y"] and torch.equal(alone["y"], both["y"])
    assert not torch.equal(both["x"], both["y"])


@pytest.mark.parametrize(
    ("positional", "args", "kwargs"),
    [
        (0, (), {"x": 1, "z": 3, "return_dict": False}),
        (1, (1,), {"z": 3, "return_dict": False}),
        (2, (1, None), {"z": 3, "return_dict": False}),
        (4, (1, None, 3, False), {}),
    ],
)
def test_positional_arguments_fill_gaps_with_defaults(positional, args, kwargs):
    probe = probe_of("  inputs: {x: 1, y?: 2, z: 3}\n")
    example = Example(0, torch.float32, {}, frozenset(), False, positional, 0)
    given = make_arguments(probe, example, parameters_of("x", y=None, z=None, return_dict=True))
    assert (given.args, given.kwargs) == (args, kwargs)


def test_no_argument_is_passed_by_position_behind_a_required_one_that_is_missing():
    probe = probe_of("  inputs: {x?: 1, y: 2}\n")
    example = Example(0, torch.float32, {}, frozenset(), None, 2, 0)
    given = make_arguments(probe, example, parameters_of("x", "y"))
    assert (given.args, given.kwargs) == ((), {"y": 2})


def test_keyword_only_parameters_stay_keywords():
    parameters = {
        "x": inspect.Parameter("x", inspect.Parameter.POSITIONAL_OR_KEYWORD),
        "y": inspect.Parameter("y", inspect.Parameter.KEYWORD_ONLY),
    }
    example = Example(0, torch.float32, {}, frozenset(), None, 2, 0)
    given = make_arguments(probe_of("  inputs: {x: 1, y: 2}\n"), example, parameters)
    assert (given.args, given.kwargs) == ((1,), {"y": 2})


def test_a_description_says_what_was_passed_and_how():
    probe = probe_of("  dims: {batch: [1, 2]}\n  inputs: {x: [batch], y: {list: [{tuple: [1]}, [batch]]}, z?: 1}\n")
    example = Example(0, torch.bfloat16, {"batch": 2}, frozenset(), False, 1, 5)
    parameters = parameters_of("x", "y", z=None, return_dict=True)
    arguments = make_arguments(probe, example, parameters)
    assert describe(example, probe.alternatives, arguments, list(parameters)).splitlines() == [
        "case: the base",
        "dtype: bfloat16",
        "dims: batch=2",
        "x (by position): bfloat16[2]",
        "y: [(1,), bfloat16[2]]",
        "return_dict: False",
        "left out: z",
        "seed: 5",
    ]


def test_a_case_with_a_dtype_of_its_own():
    probe = probe_of("  inputs: {x: [2]}\n  cases: [{dtype: float32}, {dtype: bfloat16, inputs: {x: [3]}}]\n")
    drawn = draw_all(examples(probe.alternatives, parameters_of("x")))
    dtypes = {case: {example.dtype for example in drawn if example.case == case} for case in range(3)}
    assert dtypes == {0: {torch.float32, torch.bfloat16}, 1: {torch.float32}, 2: {torch.bfloat16}}
    narrowed = probe_of("  dtype: bfloat16\n  inputs: {x: [2]}\n  cases: [{dtype: float32}]\n")
    assert [alternative.dtype for alternative in narrowed.alternatives] == ["bfloat16", "float32"]
