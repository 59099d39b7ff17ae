"""What teaspec logs while one pipeline is hooked again and again: each remark is wanted once."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager


class _Holding(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)


@contextmanager
def heard_once(heard: set[str]) -> Iterator[None]:
    """Holds back what teaspec logs within it; behind it, what was not heard yet is handed on, also after an exception.

    Args:
        heard: What was; what is new is added.
    """
    logger, holding = logging.getLogger("teaspec"), _Holding()
    propagated, handlers = logger.propagate, list(logger.handlers)
    logger.propagate, logger.handlers = False, [holding]
    try:
        yield
    finally:
        logger.propagate, logger.handlers = propagated, handlers
        for record in holding.records:
            text = record.getMessage()
            if text not in heard:
                heard.add(text)
                logging.getLogger(record.name).handle(record)
