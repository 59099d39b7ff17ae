"""The table of operations says what torch, numpy and Python change or draw: each entry is called, and asked."""

from __future__ import annotations

import ast
import bisect
import heapq
import inspect
import io
import operator
import random
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F  # noqa: N812

from teaspec.compiler.analysis.effects import operations
from teaspec.compiler.analysis.effects.calls import changed_by_call, draws_random
from tests.compiler.aten import aten, is_public
from tests.compiler.memory import shares

CHANGED: dict[str, tuple[Callable[[], Any], Callable[[Any], object]]] = {
    "append": (list, lambda c: c.append(1)),
    "extend": (list, lambda c: c.extend([1])),
    "insert": (list, lambda c: c.insert(0, 1)),
    "remove": (lambda: [1], lambda c: c.remove(1)),
    "pop": (lambda: [1], lambda c: c.pop()),
    "popitem": (lambda: {1: 1}, lambda c: c.popitem()),
    "clear": (lambda: [1], lambda c: c.clear()),
    "sort": (lambda: [2, 1], lambda c: c.sort()),
    "reverse": (lambda: [2, 1], lambda c: c.reverse()),
    "update": (dict, lambda c: c.update(a=1)),
    "setdefault": (dict, lambda c: c.setdefault("a", 1)),
    "add": (set, lambda c: c.add(1)),
    "discard": (lambda: {1}, lambda c: c.discard(1)),
    "intersection_update": (lambda: {1}, lambda c: c.intersection_update(())),
    "difference_update": (lambda: {1}, lambda c: c.difference_update([1])),
    "symmetric_difference_update": (lambda: {1}, lambda c: c.symmetric_difference_update([1])),
    "appendleft": (deque, lambda c: c.appendleft(1)),
    "popleft": (lambda: deque([1]), lambda c: c.popleft()),
    "extendleft": (deque, lambda c: c.extendleft([1])),
    "rotate": (lambda: deque([1, 2]), lambda c: c.rotate()),
    "move_to_end": (lambda: OrderedDict(a=1, b=2), lambda c: c.move_to_end("a")),
    "__setitem__": (lambda: [1], lambda c: c.__setitem__(0, 2)),
    "__delitem__": (lambda: [1], lambda c: c.__delitem__(0)),
    "__iadd__": (lambda: torch.ones(1), lambda c: c.__iadd__(1)),
    "__isub__": (lambda: torch.ones(1), lambda c: c.__isub__(1)),
    "__imul__": (lambda: torch.ones(1), lambda c: c.__imul__(2)),
    "__itruediv__": (lambda: torch.ones(1), lambda c: c.__itruediv__(2)),
    "set_": (lambda: torch.ones(1), lambda c: c.set_(torch.zeros(1))),
    "resize_": (lambda: torch.ones(1), lambda c: c.resize_(3)),
    "write": (io.StringIO, lambda c: c.write("a")),
    "writelines": (io.StringIO, lambda c: c.writelines(["a"])),
    "send": (lambda: _generator(), lambda c: c.send(None)),
    "throw": (lambda: _generator(), lambda c: _caught(lambda: c.throw(ValueError()))),
    "close": (lambda: _generator(), lambda c: c.close()),
    "fill": (lambda: np.ones(1), lambda c: c.fill(2)),
    "next": (lambda: iter([1, 2]), next),
    "setattr": (lambda: nn.Identity(), lambda c: setattr(c, "a", 1)),
    "delattr": (lambda: _with_attribute(), lambda c: delattr(c, "a")),
    "setitem": (lambda: [1], lambda c: operator.setitem(c, 0, 2)),
    "delitem": (lambda: [1], lambda c: operator.delitem(c, 0)),
    "iadd": (lambda: torch.ones(1), lambda c: operator.iadd(c, 1)),
    "isub": (lambda: torch.ones(1), lambda c: operator.isub(c, 1)),
    "imul": (lambda: torch.ones(1), lambda c: operator.imul(c, 2)),
    "itruediv": (lambda: torch.ones(1), lambda c: operator.itruediv(c, 2)),
    "ior": (set, lambda c: operator.ior(c, {1})),
    "iand": (lambda: {1}, lambda c: operator.iand(c, set())),
    "ixor": (set, lambda c: operator.ixor(c, {1})),
    "heappush": (list, lambda c: heapq.heappush(c, 1)),
    "heappop": (lambda: [1], heapq.heappop),
    "heapify": (lambda: [2, 1], heapq.heapify),
    "insort": (list, lambda c: bisect.insort(c, 1)),
    "copyto": (lambda: np.ones(1), lambda c: np.copyto(c, 2)),
    "fill_diagonal": (lambda: np.ones((2, 2)), lambda c: np.fill_diagonal(c, 2)),
    "put": (lambda: np.ones(1), lambda c: np.put(c, 0, 2)),
    "shuffle": (lambda: list(range(50)), random.shuffle),
}


def _generator() -> Iterator[int]:
    yield 1
    yield 2


def _caught(call: Callable[[], object]) -> None:
    with pytest.raises(ValueError):
        call()


def _with_attribute() -> nn.Module:
    module = nn.Identity()
    module.a = 1
    return module


def _content(value: Any) -> str:
    if isinstance(value, nn.Module):
        return repr(sorted(vars(value)))
    if isinstance(value, io.StringIO):
        return value.getvalue()
    return repr(list(value))  # of an iterator: what is left of it


@pytest.mark.parametrize("name", sorted(operations.CHANGES | operations.CHANGES_FIRST))
def test_what_changes_something_leaves_it_changed(name: str) -> None:
    """Red if `copy` stands in the table."""
    make, change = CHANGED[name]
    untouched, changed = make(), make()
    change(changed)
    assert _content(changed) != _content(untouched)


def test_what_fills_or_looks_is_told_apart() -> None:
    assert operations.FILLS <= operations.CHANGES
    assert not operations.LOOKS & operations.CHANGES
    held = [torch.ones(1), torch.ones(1)]
    assert held.copy() is not held and {"a": 1}.get("a") == 1
    assert not shares(sum(held), held) and len(held) == 2 and held == held.copy()


@pytest.mark.parametrize("name", sorted(operations.INPLACE))
def test_functions_are_told_to_work_in_place_where_the_table_says(name: str) -> None:
    """Red if a place is wrong: `F.relu(x, True)` changes x."""
    parameters = list(inspect.signature(getattr(F, name)).parameters)
    assert parameters.index("inplace") == operations.INPLACE[name]
    given = ["x", *["0.5"] * (operations.INPLACE[name] - 1)]
    for last, expected in (("True", {"x"}), ("way", {"x"}), ("False", set())):
        call = _call(f"F.{name}({', '.join([*given, last])})")
        assert {name for name in changed_by_call(call, {}, "self") if name != "way"} == expected


def test_no_function_that_may_work_in_place_is_missing() -> None:
    told = {name for name in dir(F) if not name.startswith("_") and callable(getattr(F, name))}
    with_inplace = {name for name in told if "inplace" in _parameters(getattr(F, name))}
    assert with_inplace == set(operations.INPLACE)


def _parameters(function: Any) -> list[str]:
    try:
        return list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return []


@pytest.mark.parametrize("name", sorted(operations.CHANGES_BUFFERS))
def test_running_statistics_are_changed_where_the_table_says(name: str) -> None:
    given = [torch.randn(2, 3, 4), torch.zeros(3), torch.ones(3)]
    before = [value.clone() for value in given]
    getattr(F, name)(*given, **({"training": True} if name == "batch_norm" else {}))
    changed = [index for index, value in enumerate(given) if not torch.equal(value, before[index])]
    assert tuple(changed) == operations.CHANGES_BUFFERS[name]
    names = [_parameters(getattr(F, name))[index] for index in changed]
    assert set(names) == operations.BUFFERS
    assert changed_by_call(_call(f"F.{name}(x, a, b)"), {}, "self") == {"a", "b"}
    assert changed_by_call(_call(f"F.{name}(x, {names[0]}=a, {names[1]}=b)"), {}, "self") == {"a", "b"}


def _call(text: str) -> ast.Call:
    call = ast.parse(text, mode="eval").body
    assert isinstance(call, ast.Call)
    return call


X = torch.full((2, 3, 4, 4), 0.5)
DRAWN: dict[str, Callable[[], object]] = {
    "randint": lambda: torch.randint(5, (2,)),
    "randperm": lambda: torch.randperm(4),
    "randint_like": lambda: torch.randint_like(X, 5),
    "binomial": lambda: torch.binomial(X, X),
    "multinomial": lambda: torch.multinomial(torch.ones(3), 2),
    "normal": lambda: torch.normal(X, X),
    "rrelu": lambda: F.rrelu(-X, training=True),
    "dropout1d": lambda: F.dropout1d(X[0], 0.5, training=True),
    "geometric_": lambda: X.clone().geometric_(0.5),
    "rrelu_": lambda: torch.rrelu_(-X, training=True),
    "native_dropout": lambda: torch.native_dropout(X, 0.5, True),
    "fractional_max_pool2d": lambda: F.fractional_max_pool2d(X, 2, output_size=2),
    "fractional_max_pool3d": lambda: F.fractional_max_pool3d(torch.ones(1, 1, 4, 4, 4), 2, output_size=2),
    "gumbel_softmax": lambda: F.gumbel_softmax(X),
    "sample": lambda: torch.distributions.Normal(0.0, 1.0).sample(),
    "rsample": lambda: torch.distributions.Normal(0.0, 1.0).rsample(),
    "shuffle": lambda: random.shuffle([1, 2, 3]),
    "choice": lambda: random.choice([1, 2, 3]),
    "choices": lambda: random.choices([1, 2, 3]),
    "standard_normal": np.random.standard_normal,
    "standard_gamma": lambda: np.random.standard_gamma(1.0),
    "permutation": lambda: np.random.permutation(4),
    "manual_seed": lambda: torch.manual_seed(3),
    "seed": torch.seed,
    "set_rng_state": lambda: torch.set_rng_state(torch.Generator().manual_seed(5).get_state()),
    "random": random.random,
    "randrange": lambda: random.randrange(5),
    "gauss": lambda: random.gauss(0, 1),
    "randn_tensor": lambda: _randn_tensor(),
    "trunc_normal_": lambda: nn.init.trunc_normal_(X.clone()),
    "sparse_": lambda: nn.init.sparse_(torch.ones(4, 4), 0.5),
}
READS_STATE = frozenset({"get_rng_state"})


def _randn_tensor() -> torch.Tensor:
    from diffusers.utils.torch_utils import randn_tensor

    drawn: torch.Tensor = randn_tensor((2,))
    return drawn


def _states() -> tuple[Any, ...]:
    return torch.get_rng_state().tolist(), random.getstate(), repr(np.random.get_state())


@pytest.mark.parametrize("name", sorted(operations.RANDOM - READS_STATE))
def test_what_is_random_draws_or_sets_a_generator(name: str) -> None:
    """Red if `relu` stands in the table."""
    torch.manual_seed(1)
    random.seed(1)
    np.random.seed(1)
    before = _states()
    if name in DRAWN:
        DRAWN[name]()
    elif hasattr(nn.init, name):
        getattr(nn.init, name)(torch.ones(4, 4))
    elif hasattr(torch.Tensor, name) and name.endswith("_"):
        getattr(X.clone(), name)()
    elif hasattr(F, name) and "training" in _parameters(getattr(F, name)):
        getattr(F, name)(X, 0.5, training=True)
    elif hasattr(torch, name) and "dropout" in name:
        getattr(torch, name)(X.clone(), 0.5, True)
    elif name in {"rand", "randn"}:
        getattr(torch, name)(2)
    else:
        getattr(torch, name)(X)
    assert _states() != before


# Recurrent networks drop out between their layers if an argument says so; nobody calls them as functions.
DRAW_IF_TOLD = frozenset({"gru", "lstm", "rnn_relu", "rnn_tanh", "miopen_rnn", "scaled_dot_product_attention"})


def test_whatever_torch_says_is_random_is_in_the_table() -> None:
    tag = torch.Tag.nondeterministic_seeded
    drawing = {name for name, overload in aten() if tag in overload.tags and is_public(name)}
    assert drawing - DRAW_IF_TOLD <= operations.RANDOM
    assert draws_random(_call("F.scaled_dot_product_attention(q, k, v, None, 0.1)"), "self")
    assert draws_random(_call("F.scaled_dot_product_attention(q, k, v, dropout_p=self.p)"), "self")
    assert not draws_random(_call("F.scaled_dot_product_attention(q, k, v, None, 0.0)"), "self")
    assert not draws_random(_call("F.scaled_dot_product_attention(q, k, v, dropout_p=0.0)"), "self")


def test_whatever_torch_says_writes_is_seen_to() -> None:
    """Names that end in an underscore are; of the others, those that write are known."""
    # They write what a cast, an observer or autograd keeps beside a tensor.
    beside = {"fbgemm_linear_fp16_weight", "fbgemm_linear_fp16_weight_fp32_activation", "record_stream", "retain_grad"}
    beside |= {"fused_moving_avg_obs_fake_quant"}
    for name, overload in aten():
        written = any(
            a.alias_info is not None and a.alias_info.is_write and not a.is_out for a in overload._schema.arguments
        )
        if written and is_public(name) and not name.endswith("_"):
            assert name in operations.CHANGES | beside, name


@pytest.mark.parametrize("name", sorted(operations.ITERATORS - {"open"}))
def test_an_iterator_is_used_up(name: str) -> None:
    """Red if `list` stands in the table."""
    made = {
        "iter": lambda: iter([1]), "map": lambda: map(str, [1]), "filter": lambda: filter(None, [1]),
        "zip": lambda: zip([1], strict=False), "enumerate": lambda: enumerate([1]), "reversed": lambda: reversed([1]),
    }  # fmt: skip
    module = nn.BatchNorm1d(2)
    module.child = nn.Linear(2, 2)
    found = made[name]() if name in made else getattr(module, name)()
    assert list(found) != []
    assert list(found) == []
