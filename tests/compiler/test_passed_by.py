"""Calls that pass by the cache: an extractor that has no statements for them says so."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from teaspec import TeaCacheConfig, apply_teacache_hook
from teaspec.compiler.pipeline import compile_spec, load_spec
from teaspec.runtime.generated import PassedByError
from tests.compiler.split import called, entered
from tests.toys.point_05_passed_by import TOYS
from tests.toys.toy import Draw, Toy

IDENTITY = [0.0, 0.0, 0.0, 1.0, 0.0]
ASKING = {"Recording": {"record": True}, "Filling": {"kept": {}}}


def asked(toy: Toy) -> dict[str, object]:
    return ASKING[toy.build.__name__]


@pytest.mark.parametrize("toy", TOYS.good_ones, ids=lambda toy: toy.name)
def test_a_call_that_should_not_be_cut_is_an_error(toy: Toy) -> None:
    """Red where the branch is left out without a word: the call would get an answer of another form."""
    module = toy.module()
    extractor = compile_spec(load_spec(toy.spec), module)
    call = Draw(2, 5, 3, torch.float32).single(**asked(toy))
    with torch.no_grad():
        for run in (entered(extractor), called(extractor)):
            with pytest.raises(PassedByError, match="pass by the cache, and this extractor was asked to cut one"):
                run(module, (), call.kwargs)


@pytest.mark.parametrize("toy", TOYS.good_ones, ids=lambda toy: toy.name)
def test_it_keeps_nothing_for_them(toy: Toy) -> None:
    """Red where what they read crosses from the blocks: the states behind all blocks would be held."""
    extractor = compile_spec(load_spec(toy.spec), toy.module())
    assert [value.name for value in extractor.program.live] == ["hidden_states"]


def written(extractor: Any) -> Any:
    """The extractor of the text that `teaspec compile` writes."""
    names: dict[str, Any] = {"__name__": "written"}
    exec(compile(extractor.source, "written", "exec"), names)
    return names["extractor"]


@pytest.mark.parametrize("made", [lambda extractor: extractor, written], ids=["compiled", "written"])
@pytest.mark.parametrize("toy", TOYS.good_ones, ids=lambda toy: toy.name)
def test_an_extractor_that_is_handed_over_knows_which_they_are(toy: Toy, made: Any) -> None:
    """Red where only the registry's extractor carries `bypass`: the call is cut, and raises."""
    plain, module = toy.module(), toy.module()
    module.load_state_dict(plain.state_dict())
    extractor = made(compile_spec(load_spec(toy.spec), module))
    apply_teacache_hook(module, TeaCacheConfig(rel_l1_thresh=0.2, coefficients=IDENTITY), extractor=extractor)
    ways = ({}, asked(toy), {}, asked(toy))
    for index, way in enumerate(ways):
        call = Draw(2, 5, index, torch.float32).single(**way)
        with torch.no_grad():
            got, expected = module(**call.kwargs), plain(**call.kwargs)
        if way:
            assert torch.equal(*(one if isinstance(one, torch.Tensor) else one[0] for one in (got, expected)))
