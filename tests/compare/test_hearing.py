"""What is logged while a pipeline is hooked again and again."""

from __future__ import annotations

import logging

import pytest

from teaspec.compare.hearing import heard_once


def test_each_remark_is_heard_once_also_after_an_exception(caplog: pytest.LogCaptureFixture) -> None:
    """Mutations: all of them handed on; none handed on; the logger left deaf."""
    logger, heard = logging.getLogger("teaspec.somewhere.within"), set()
    before = logging.getLogger("teaspec").propagate, list(logging.getLogger("teaspec").handlers)
    for value in (1, 1, 2):
        with pytest.raises(RuntimeError), heard_once(heard):
            logger.warning("took the set %d", value)
            raise RuntimeError("of the pipeline")
    assert [record.getMessage() for record in caplog.records] == ["took the set 1", "took the set 2"]
    assert {record.name for record in caplog.records} == {"teaspec.somewhere.within"}
    assert (logging.getLogger("teaspec").propagate, list(logging.getLogger("teaspec").handlers)) == before
