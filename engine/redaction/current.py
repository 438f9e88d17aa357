"""Which redactor is in force: that of the run on whose behalf a task or thread works.

Bound by whoever drives a run, inherited by its tasks and by threads that copy their context. A
host program that drives several runs at once has one for each, and none outside of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from engine.redaction.redactor import Redactor

__all__ = ["bind", "bound", "current"]

_NONE = Redactor({})
_current: ContextVar[Redactor] = ContextVar("orch_redactor", default=_NONE)


def current() -> Redactor:
    """The redactor in force here; one that does nothing if there is none."""
    return _current.get()


def bind(redactor: Redactor) -> None:
    """Put a redactor in force for the rest of this context: a command of the command line."""
    _current.set(redactor)


@contextmanager
def bound(redactor: Redactor) -> Iterator[None]:
    """Put a redactor in force inside."""
    token = _current.set(redactor)
    try:
        yield
    finally:
        _current.reset(token)
