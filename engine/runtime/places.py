"""Places: where in the source a failure comes from, as file, line and column.

Found when a failure is shown, from its `Cause` and the program that the run was folded with: for a
run of the journal that is the text which the journal keeps. So no line moves when a file is edited,
and nothing is read from the disk. A run may be given another program later; offsets that were taken
in an earlier one do not count then, and the setting itself is the place.
"""

from __future__ import annotations

import os
from functools import lru_cache

from engine.errors import Failure
from engine.runtime.causes import OUTPUT, VIA, Cause
from engine.runtime.state import RunState
from engine.sema.kinds import KindError, find_kind
from engine.sema.model import Program, Verifier, Worker
from engine.sema.types.contract import Contract
from engine.sema.types.definitions import Array, Constrained, Field, Named, Optional, Record, Type
from engine.source import Place, SourceFile, Span
from engine.syntax.find_setting import setting_span

__all__ = ["place_of", "span_of"]


def place_of(state: RunState, failure: Failure | Cause | None) -> Place | None:
    """The place that a failure, or the end of an orchestrator, comes from; None if in no file."""
    span = span_of(state, failure)
    return None if span is None else span.place


def span_of(state: RunState, failure: Failure | Cause | None) -> Span | None:
    """The same as a span, for who draws it; its file is named as the user named the program's."""
    cause = failure.cause if isinstance(failure, Failure) else failure
    if not isinstance(cause, Cause):
        return None
    span = _found(state, cause)
    if span is None:
        return None
    return Span(_shown(state.program, span.source), span.start, span.end)


def _found(state: RunState, cause: Cause) -> Span | None:
    if cause.span is not None:
        return cause.span
    declared = cause.of.span
    if declared is None:
        return None
    if cause.program == state.program_hash and cause.start < cause.end <= len(declared.source.text):
        return Span(declared.source, cause.start, cause.end)
    if cause.pointer:
        field = _field(cause)
        if field is not None and field.span is not None:
            return field.span
    found = setting_span(declared, cause.setting) if cause.setting else None
    if cause.setting == VIA and (called := _called(cause.of)):
        found = setting_span(declared, called) or found
    if found is not None:
        return found
    return declared if cause.otherwise is None else _found(state, cause.otherwise)


def _called(of: object) -> str:
    """The setting of a worker or verifier that says what it calls."""
    try:
        kind = find_kind(of.kind) if isinstance(of, Worker | Verifier) else None
    except KindError:
        return ""  # its package is not here
    return "" if kind is None else kind.calls


def _field(cause: Cause) -> Field | None:
    """The field of a schema, or the input, that a JSON Pointer leads to, as far as it leads."""
    contract = getattr(cause.of, "output" if cause.setting == OUTPUT else "inputs", None)
    at: Type | None = contract.type if isinstance(contract, Contract) else None
    found: Field | None = None
    for step in cause.pointer.split("/")[1:]:
        at = _plain(at)
        if isinstance(at, Array):
            at = at.item
        elif isinstance(at, Record):
            field = at.field(step.replace("~1", "/").replace("~0", "~"))
            if field is None:
                break
            found, at = field, field.type
        else:
            break
    return found


def _plain(type_: Type | None) -> Type | None:
    """A type without its name, its constraints and its `?`."""
    while True:
        if isinstance(type_, Named):
            type_ = type_.definition.type
        elif isinstance(type_, Constrained | Optional):
            type_ = type_.item
        else:
            return type_


def _shown(program: Program, source: SourceFile) -> SourceFile:
    """A file under the path that the user would give it from where the run was started.

    A program that was read from a journal has absolute paths; the folder it was in may be gone.
    """
    if not os.path.isabs(source.path) or os.path.isabs(program.path):
        return source
    folder = os.path.dirname(program.path)
    return _renamed(source, os.path.join(folder, os.path.relpath(source.path, program.base_dir)))


@lru_cache(maxsize=64)
def _renamed(source: SourceFile, path: str) -> SourceFile:
    return SourceFile(os.path.normpath(path), source.text)
