from __future__ import annotations

import torch

from teaspec.runtime.keep.overwrite import OverwriteWatch


def trusting_watch() -> OverwriteWatch:
    watch = OverwriteWatch()
    watch.learn("x", watch.keep("x", torch.ones(2)))
    return watch


def test_an_unknown_tensor_is_copied() -> None:
    tensor = torch.ones(2)
    kept = OverwriteWatch().keep("x", tensor)
    tensor.zero_()
    assert kept.find().tolist() == [1, 1]


def test_a_tensor_that_is_left_alone_is_not_copied_again() -> None:
    tensor = torch.ones(2)
    kept = trusting_watch().keep("x", tensor)
    assert kept.find().data_ptr() == tensor.data_ptr()
    assert trusting_watch().keep("y", tensor).find().data_ptr() != tensor.data_ptr()


def test_overwriting_is_noticed_also_through_a_view() -> None:
    tensor = torch.ones(2)
    kept = trusting_watch().keep("x", tensor)
    tensor[:1].zero_()
    assert kept.find() is None


def test_one_that_was_overwritten_is_copied_for_good() -> None:
    watch, tensor = trusting_watch(), torch.ones(2)
    kept = watch.keep("x", tensor)
    tensor.zero_()
    watch.learn("x", kept)
    for _ in range(2):
        kept = watch.keep("x", tensor)
        assert kept.find().data_ptr() != tensor.data_ptr()
        watch.learn("x", kept)


def test_inference_tensors_are_always_copied() -> None:
    watch = trusting_watch()
    with torch.inference_mode():
        tensor = torch.ones(2)
        kept = watch.keep("x", tensor)
        watch.learn("x", kept)
        assert watch.keep("x", tensor).find().data_ptr() != tensor.data_ptr()
        tensor.zero_()
    assert kept.find().tolist() == [1, 1]


def test_what_is_kept_holds_no_graph() -> None:
    tensor = torch.ones(2, requires_grad=True) * 2
    assert not OverwriteWatch().keep("x", tensor).find().requires_grad
    assert not trusting_watch().keep("x", tensor).find().requires_grad
