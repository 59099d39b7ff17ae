from __future__ import annotations

from typing import Any

import pytest
import torch

from tests.runtime.driving import choices, hooked, latents, signal, snapshot
from tests.runtime.models import (
    SingleStream,
    SingleStreamExtractor,
)


@pytest.mark.parametrize("step", [1, 2, 3], ids=["first", "reused", "computed"])
@pytest.mark.parametrize("place", ["embed", "blocks", "head"])
def test_an_exception_leaves_everything_as_it_was(step: int, place: str) -> None:
    module, hook = hooked()
    levels = [1.0, 1.1, 9.0]
    with torch.no_grad():
        for index, level in enumerate(levels[: step - 1]):
            module(latents(), signal(level), 3.0 - index)
        before = snapshot(hook)
        failing = module.blocks[1] if place == "blocks" else getattr(module, place)
        handle = failing.register_forward_hook(lambda *_: (_ for _ in ()).throw(InterruptedError("stop")))
        if (place, step) != ("blocks", 2):  # a reused step runs no block
            with pytest.raises(InterruptedError, match="stop"):
                module(latents(), signal(levels[step - 1]), 4.0 - step)
            assert snapshot(hook) == before
        handle.remove()
        for index, level in list(enumerate(levels))[step - 1 :]:
            module(latents(), signal(level), 3.0 - index)
    assert choices(hook) == ["compute", "reuse", "compute"]


def test_an_exception_in_a_restarted_generation_leaves_the_old_one() -> None:
    module, hook = hooked()
    for timestep in (2.0, 1.0):
        module(latents(), signal(1.0), timestep)
    before = snapshot(hook)
    with pytest.raises(RuntimeError):
        module(latents()[..., :1], signal(1.0), 2.0)
    assert snapshot(hook) == before


def test_a_forward_that_finishes_early_touches_no_state() -> None:
    module, hook = hooked()
    module(latents(), signal(1.0), 1.0)
    before = snapshot(hook)
    hidden = latents(1)
    assert module(hidden, signal(1.0), 1.0, finish=True) is hidden
    assert snapshot(hook) == before


def test_an_extractor_with_enter_is_entered_once_and_left_once() -> None:
    extractor = SingleStreamExtractor()
    module, hook = hooked(extractor=extractor)
    for level in (1.0, 1.1):
        module(latents(), signal(level))
    assert choices(hook) == ["compute", "reuse"]
    assert (extractor.entered, extractor.left, extractor.compiled) == (2, 2, 1)
    hidden = latents(1)
    assert module(hidden, signal(1.0), finish=True) is hidden
    with pytest.raises(RuntimeError):
        module(latents()[..., :1], signal(1.0))
    assert (extractor.entered, extractor.left) == (4, 4)


def test_an_exception_while_leaving_the_decorators_commits_nothing() -> None:
    class Extractor(SingleStreamExtractor):
        def enter(self, *args: Any) -> Any:
            super().enter(*args)
            raise InterruptedError

    module, hook = hooked(extractor=Extractor())
    with pytest.raises(InterruptedError):
        module(latents(), signal(1.0))
    assert snapshot(hook) == ({}, (), None, None)
    assert hook.sessions.all == ()


@pytest.mark.parametrize("passed", [{"record": []}, {"finish": False}], ids=["record", "positional"])
def test_a_bypassing_call_runs_the_forward_and_touches_no_state(passed: dict[str, Any]) -> None:
    class Registered(SingleStreamExtractor):
        """What is compiled knows no rules; they are those of the spec it comes from."""

        def compiled_for(self, module: Any) -> SingleStreamExtractor:
            return SingleStreamExtractor()

    plain, (module, hook) = SingleStream(), hooked(extractor=Registered(bypass=("record", "finish = False")))
    module.load_state_dict(plain.state_dict())
    arguments = (latents(), signal(1.0), 1.0)
    module(*arguments)
    before = snapshot(hook)
    expected = plain(*arguments)
    assert torch.equal(module(*arguments, **passed), expected)
    assert torch.equal(module(*arguments, False), expected)
    assert snapshot(hook) == before
    module(*arguments, record=None)
    assert len(hook.decisions) == 2
