"""Compiled programs, once each a process, and digests of what they declare.

The workflow runs the program that travels with the run; a host runs calls with its own
files. They meet by digest: a call says what its worker's declaration was, and a host whose own
is another one does not begin it. A digest covers the contract and the settings, not places in a
file, so that moving a declaration about changes nothing.
"""

from __future__ import annotations

import hashlib
import threading
from collections import OrderedDict
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from engine.diagnostics import Diagnostic
from engine.drive.loading import check_record, compile_record
from engine.journal import RunRecord
from engine.linter.admission import errors_in
from engine.sema.expressions.template import Expression, Template
from engine.sema.model import Model, Program, Verifier, Worker
from engine.sema.types.contract import Contract
from engine.source import Span

__all__ = ["digest_of", "errors_of", "plain_of", "program_of", "warm_program"]

#: How many programs are kept; a cluster's runs come from a handful.
_KEPT = 64


class _Compiled(NamedTuple):
    """A program, and what keeps it from beginning to run."""

    program: Program
    errors: list[Diagnostic]


_programs: OrderedDict[bytes, _Compiled] = OrderedDict()
_lock = threading.Lock()


def program_of(record: RunRecord) -> Program:
    """The program of a run.

    Raises:
        CompileError: It has errors with this version of the engine.
    """
    return _compiled(record).program


def errors_of(record: RunRecord) -> list[Diagnostic]:
    """What keeps a run from beginning with its program.

    Raises:
        CompileError: It has errors that no comment could allow.
    """
    return _compiled(record).errors


def _compiled(record: RunRecord) -> _Compiled:
    parts = [record.files, record.params, record.cwd, record.workflow]
    key = hashlib.sha256(msgspec.json.encode(parts, order="sorted")).digest()
    with _lock:
        found = _programs.get(key)
        if found is not None:
            _programs.move_to_end(key)
            return found
    checked = check_record(record)
    found = _Compiled(compile_record(record, checked), errors_in(checked))
    with _lock:
        _programs[key] = found
        while len(_programs) > _KEPT:
            _programs.popitem(last=False)
    return found


def warm_program(record: RunRecord) -> None:
    """Compile a run's program, so that `program_of` has it at once."""
    program_of(record)


#: What says where something is declared, or is not a part of what a call does.
_ELSEWHERE = frozenset(
    {"span", "base_dir", "doc", "retry", "fallback", "repair_max", "max_prompt_bytes"}
)


def digest_of(declared: Model | Worker | Verifier) -> str:
    """A digest of what a declaration means to whoever carries it out (hex, 16 digits)."""
    plain = {
        name: plain_of(getattr(declared, name))
        for name in declared.__struct_fields__
        if name not in _ELSEWHERE
    }
    data = msgspec.json.encode([type(declared).__name__, plain], order="sorted")
    return hashlib.sha256(data).hexdigest()[:16]


def plain_of(value: Any) -> Any:
    """What a declaration, or a part of one, says, as plain JSON data; places in files left out."""
    if isinstance(value, Contract):
        return value.schema
    if isinstance(value, (Template, Expression)):
        return [type(value).__name__, value.text]
    if isinstance(value, Mapping):
        return {str(key): plain_of(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain_of(item) for item in value]
    if isinstance(value, Span):
        return None
    if isinstance(value, msgspec.Struct):
        return {name: plain_of(getattr(value, name)) for name in value.__struct_fields__}
    if value is None or isinstance(value, (str, int, float, bool)):
        return value
    return repr(value)
