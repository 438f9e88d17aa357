"""Which redactor is in force: that of the run on whose behalf a task or thread works.

Bound by whoever drives a run, inherited by its tasks and by threads that copy their context. A
host program that drives several runs at once has one for each, and none outside of them.

While one is bound, log records that are made on its behalf hold no secrets, whichever library
makes them: httpx writes whole addresses at INFO. That is done where records are made, so it holds
for loggers and handlers that nobody knows of here. Records of others are left alone.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from engine.redaction.redactor import Redactor

__all__ = ["bind", "bound", "current"]

_NONE = Redactor({})
_current: ContextVar[Redactor] = ContextVar("orch_redactor", default=_NONE)
_plain = logging.Formatter()


def current() -> Redactor:
    """The redactor in force here; one that does nothing if there is none."""
    return _current.get()


def bind(redactor: Redactor) -> None:
    """Put a redactor in force for the rest of this context: a command of the command line."""
    if redactor:
        _clean_log_records()
    _current.set(redactor)


@contextmanager
def bound(redactor: Redactor) -> Iterator[None]:
    """Put a redactor in force inside."""
    if redactor:
        _clean_log_records()
    token = _current.set(redactor)
    try:
        yield
    finally:
        _current.reset(token)


def _clean_log_records() -> None:
    """See to it that records are cleaned where they are made, once a process.

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
        redactor = _current.get()
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
