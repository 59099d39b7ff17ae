"""The table of operations says what torch hands on: each entry is called, and asked."""

from __future__ import annotations

import ast
import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional as F  # noqa: N812

from teaspec.compiler.analysis.effects import operations
from teaspec.compiler.analysis.effects.aliases import alias_sources
from tests.compiler.aten import aten, is_public
from tests.compiler.memory import shares


def tensors() -> list[torch.Tensor]:
    """Tensors of many kinds; what is a copy of one may be a view of another."""
    made = [torch.tensor(2.0), torch.ones(1), torch.arange(4.0), torch.ones(2, 2), torch.ones(2, 3, 4).transpose(0, 1)]
    return [*made, torch.arange(4), torch.ones(2, 2, dtype=torch.bfloat16), torch.ones(2, dtype=torch.complex64)]


ARGUMENTS: dict[str, tuple[Any, ...]] = {
    "reshape": (-1,), "view": (-1,), "permute": (0,), "transpose": (0, 0), "swapaxes": (0, 0), "swapdims": (0, 0),
    "movedim": (0, 0), "moveaxis": (0, 0), "unsqueeze": (0,), "flatten": (), "unflatten": (0, (-1,)), "chunk": (2,),
    "unsafe_chunk": (2,), "tensor_split": (2,), "split": (1,), "split_with_sizes": ([1, 1],), "hsplit": (2,),
    "vsplit": (2,), "dsplit": (2,), "expand": (-1, -1), "broadcast_to": ((2, 2),),
    "type": (torch.float32,), "to": (torch.float32,),
    "narrow": (0, 0, 1), "select": (0, 0), "unfold": (0, 1, 1), "repeat": (2, 2), "repeat_interleave": (2,),
    "gather": (0, torch.zeros(1, dtype=torch.long)), "index_select": (0, torch.tensor([0])),
    "as_strided": ((1,), (1,)), "requires_grad_": (False,), "new_zeros": (2,), "new_ones": (2,), "new_empty": (2,),
    "new_full": ((2,), 1.0), "new_tensor": ([1.0],), "full_like": (1.0,), "full": ((2,), 1.0), "linspace": (0, 1, 2),
    "arange": (2,), "zeros": (2,), "ones": (2,), "empty": (2,), "eye": (2,), "pad": ((1, 1),),
}  # fmt: skip
OF_A_LIST = frozenset("cat concat concatenate stack hstack vstack".split())
MADE_OF_NOTHING = frozenset("arange zeros ones empty eye full linspace".split())


def results(name: str) -> Iterator[tuple[Any, Any]]:
    """What the function and the method of a name give, and what they were given, wherever they can be called."""
    arguments = ARGUMENTS.get(name, ())
    for given in _givens(name):
        passed = () if name in MADE_OF_NOTHING else ([given],) if name in OF_A_LIST else (given,)
        for function in (getattr(torch, name, None), getattr(F, name, None)):
            yield from _tried(functools.partial(_called, function, *passed, *arguments), given)
        if isinstance(given, torch.Tensor) and name not in OF_A_LIST:
            yield from _tried(functools.partial(_method, given, name, arguments), given)


def _called(function: Any, *arguments: Any) -> Any:
    return function(*arguments)


def _method(given: Any, name: str, arguments: tuple[Any, ...]) -> Any:
    found = getattr(given, name)
    as_other = name in {"view_as", "reshape_as", "expand_as", "type_as"}
    return found if not callable(found) else found(given) if as_other else found(*arguments)


def _givens(name: str) -> list[Any]:
    given: list[Any] = tensors()
    if name in {"double", "int", "bool", "half", "cuda"}:
        kinds = {"double": torch.float64, "int": torch.int32, "bool": torch.bool, "half": torch.float16}
        given.append(torch.ones(2, dtype=kinds.get(name, torch.float32)))
    compressed = {"crow_indices": torch.Tensor.to_sparse_csr, "col_indices": torch.Tensor.to_sparse_csr}
    compressed |= {"ccol_indices": torch.Tensor.to_sparse_csc, "row_indices": torch.Tensor.to_sparse_csc}
    if name in compressed:
        return [compressed[name](torch.eye(2))]
    if name in {"values", "indices", "coalesce"}:
        return [torch.eye(2).to_sparse().coalesce()]
    if name == "from_numpy":
        return [np.ones(2)]
    if name == "view_as_complex":
        return [torch.ones(2, 2)]
    return given


def _tried(call: Callable[[], Any], given: Any) -> Iterator[tuple[Any, Any]]:
    try:
        yield call(), given
    except (TypeError, RuntimeError, ValueError, AttributeError, IndexError, AssertionError, NotImplementedError):
        return  # not of this kind of tensor, or no function of that name


@pytest.mark.parametrize("name", sorted(operations.FRESH))
def test_what_is_fresh_never_is_what_it_was_given(name: str) -> None:
    """Red if `type_as` stands in the table."""
    found = list(results(name))
    assert found, "torch has nothing of that name"
    assert not [given for result, given in found if shares(result, given)]


@pytest.mark.parametrize("name", sorted(operations.VIEWS - {"cuda", "pin_memory"}))
def test_a_view_shares_memory_with_what_it_views(name: str) -> None:
    """Red if `clone` stands in the table. (Two entries need a GPU to be called.)"""
    assert any(_shares_object(result, given) for result, given in results(name))


def _shares_object(result: Any, given: Any) -> bool:
    if isinstance(given, torch.Tensor) and given.layout in {torch.sparse_csr, torch.sparse_csc}:
        axes = ("crow_indices", "col_indices") if given.layout is torch.sparse_csr else ("ccol_indices", "row_indices")
        return any(getattr(given, axis)().data_ptr() == result.data_ptr() for axis in axes)
    return shares(result, given)


@pytest.mark.parametrize("name", sorted(operations.RESHAPES))
def test_what_reshapes_gives_another_shape(name: str) -> None:
    """Red if `clone` stands in the table."""
    special: dict[str, Callable[[torch.Tensor], Any]] = {
        "movedim": lambda x: x.movedim(0, 1),
        "transpose": lambda x: x.transpose(0, 1),
        "permute": lambda x: x.permute(1, 0),
        "squeeze": lambda x: x[:1].squeeze(0),
        "unflatten": lambda x: x.unflatten(1, (1, -1)),
        "expand": lambda x: x.expand(2, 2, 3),
        "gather": lambda x: x.gather(0, torch.zeros(1, 1, dtype=torch.long)),
        "index_select": lambda x: x.index_select(0, torch.tensor([0])),
    }
    given = torch.ones(2, 3)
    if name in special:
        found: list[Any] = [special[name](given)]
    elif name in OF_A_LIST:
        found = [getattr(torch, name)([given, given])]
    else:
        function = getattr(torch.Tensor, name, None) or getattr(F, name)
        found = [function(given, *ARGUMENTS.get(name, ()))]
    parts = [part for result in found for part in (result if isinstance(result, tuple) else [result])]
    assert any(part.shape != given.shape for part in parts)


EXPRESSIONS = (
    "+x", "-x", "~i", "not x", "x + 0", "x - 0", "x * 1", "x / 1", "x // 1", "x % 9", "x ** 1", "x @ x", "i | i",
    "i & i", "i ^ i", "i << 0", "i >> 0", "x == x", "x is x", "x in (1,)", "x if True else 0", "x and x", "0 or x",
    "(x, 1)[0]", "[x][0]", "{'a': x}['a']", "[y for y in [x]][0]", "(lambda: x)()", "x[0:1]", "x[...]", "x[:, None]",
    "x[[0]]",
    "x.view(-1)", "x.to(x.dtype)", "x.to(torch.float64)", "x.contiguous()", "x.float()", "x.double()", "x.T", "x.mT",
    "x.real", "x.data", "x.detach()", "x.shape", "x.dtype", "x.clone()", "torch.as_tensor(x)", "torch.tensor(x)",
    "torch.positive(x)", "x.requires_grad_(False)", "F.relu(x, inplace=True)", "F.relu(x, True)", "F.relu(x)",
    "F.dropout(x, 0.0, False)", "torch.nn.Identity()(x)", "torch.nn.Linear(1, 1)(x)", "x.flatten()", "x.reshape(1, 1)",
    "x.squeeze()", "x.expand(2, 2)", "x.type_as(x)", "x.cpu()", "torch.atleast_1d(x)", "torch.cat([x], out=z)",
    "torch.cat([x])", "torch.stack([x])", "x.sum()", "x.numpy()", "x.tolist()", "f'{x}'", "(w := x)", "[*(x,)][0]",
    "next(iter([x]))", "dict(a=x)['a']", "sum([x])", "max([x])", "torch.broadcast_to(x, (2, 2))", "x.unbind()[0]",
)  # fmt: skip


@pytest.mark.parametrize("text", EXPRESSIONS)
def test_what_an_expression_hands_on_is_seen(text: str) -> None:
    """Red if `+x` is taken for a new object (`alias_sources` without its line on `UAdd`)."""
    x, i, z = torch.ones(1, 1), torch.ones(2, dtype=torch.long), torch.ones(1, 1)
    scope = {"x": x, "i": i, "z": z, "torch": torch, "F": F}
    result = eval(text, scope)
    seen = alias_sources(ast.parse(text, mode="eval").body)
    assert {name for name in ("x", "i", "z") if shares(result, scope[name])} <= seen


def test_whatever_torch_says_is_a_view_is_in_the_table() -> None:
    found = set()
    for name, overload in aten():
        written = any(a.alias_info is not None and a.alias_info.is_write for a in overload._schema.arguments)
        aliasing = any(r.alias_info is not None for r in overload._schema.returns)
        if aliasing and not written and is_public(name):
            found.add(name)
    assert found - {"slice_inverse"} <= operations.VIEWS  # which nobody calls
    assert not found & operations.FRESH
