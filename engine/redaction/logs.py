"""Log records that are made on behalf of a run hold no secrets, whichever library makes them.

httpx writes whole addresses at INFO, others more at DEBUG. Records are cleaned where they are made,
so it holds for loggers and handlers that are not known here. Those of others, of a host program
say, are left alone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from engine.redaction.current import current
from engine.redaction.redactor import Redactor

__all__ = ["clean_log_records"]

_plain = logging.Formatter()


def clean_log_records() -> None:
    """Make sure that records are cleaned where they are made, once per process.

    Not a filter: those of a logger do not hear of the records of its children, and httpcore, mcp
    and openai have dozens, some of which come into being in the middle of a run.
    """
    inner = logging.getLogRecordFactory()
    if not isinstance(inner, _Factory):
        logging.setLogRecordFactory(_Factory(inner))


class _Factory:
    """Makes log records, and cleans those that are made on behalf of a run."""

    def __init__(self, inner: Callable[..., logging.LogRecord]) -> None:
        self._inner = inner

    def __call__(self, *args: Any, **kwargs: Any) -> logging.LogRecord:
        record = self._inner(*args, **kwargs)
        redactor = current()
        if redactor:
            _clean(record, redactor)
        return record


def _clean(record: logging.LogRecord, redactor: Redactor) -> None:
    """Take secrets out of a record; one without any stays as it is, arguments and all."""
    try:
        message = record.getMessage()
    except Exception:  # arguments that do not fit: `logging` would print them to say so
        message = str(record.msg)
        record.args = None
    cleaned = redactor.text(message)
    if cleaned != message:
        record.msg, record.args = cleaned, None
    if record.exc_info:
        said = _plain.formatException(record.exc_info)
        cleaned = redactor.text(said)
        if cleaned != said:
            record.exc_text, record.exc_info = cleaned, None
    if record.stack_info:
        record.stack_info = redactor.text(record.stack_info)
