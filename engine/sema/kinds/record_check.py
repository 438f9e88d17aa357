"""Why the record of a kind cannot be used.

Records are plain structs, which take any value when they are made. A package's record is looked at
once, when it is loaded; whatever is wrong with it is half a sentence about that package, and
nothing of it is used. The records of this package pass the same check in a test.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, get_args

import msgspec

from engine.diagnostics import RULES
from engine.sema.kinds.common import CHECKED, worker_settings
from engine.sema.kinds.kind import WorkerKind
from engine.sema.settings.defaults import wrong_default
from engine.sema.settings.table import KINDS, Row
from engine.sema.settings.values import Value, block_of

__all__ = ["record_problem"]

#: The types of what is plain data in a record, and in a row.
_FIELDS: dict[str, Any] = {
    "name": str,
    "summary": str,
    "assertions": bool,
    "modes": frozenset[str],
    "inputs_are_arguments": bool,
    "port": str | None,
    "calls": str,
    "needs": tuple[str, str] | None,
    "without": dict[str, str],
}
_ROW_FIELDS: dict[str, Any] = {
    "name": str,
    "doc": str,
    "required": bool,
    "otherwise": str | None,
    "missing": str,
}


def record_problem(kind: WorkerKind) -> str | None:
    """What is wrong with a record, or None."""
    return next(_problems(kind), None)


def _problems(kind: WorkerKind) -> Iterator[str]:
    for name, why in _mistyped(kind, _FIELDS):
        yield f"its `{name}` is not valid: {why}"
    for name in ("facts", "check", "derived"):
        if not callable(getattr(kind, name)):
            yield f"its `{name}` is not a function"
    if kind.worker is None and kind.verifier is None:
        yield "it has neither workers nor verifiers"
    if kind.worker is not None:
        yield from _of_body("workers", kind.worker, worker_settings(), "worker_settings()")
    if kind.verifier is not None:
        yield from _of_body("verifiers", kind.verifier, CHECKED, "CHECKED")
    bodies = [rows for rows in (kind.worker, kind.verifier) if rows is not None]
    if kind.calls and not any(row.name == kind.calls for rows in bodies for row in rows):
        yield f"its `calls` names `{kind.calls}`, which is not one of its settings"
    if kind.port is not None and not all(kind.port.partition(":")):
        yield f"its `port` is `{kind.port}`, not `package.module:name`"


def _of_body(declared: str, rows: Any, common: tuple[Row, ...], brought: str) -> Iterator[str]:
    """What is wrong with the settings of its workers, or of its verifiers."""
    if not isinstance(rows, tuple):
        yield f"the settings of its {declared} are a {type(rows).__name__}, not a tuple"
        return
    for row in rows:
        if not isinstance(row, Row):
            yield f"a setting of its {declared} is a {type(row).__name__}, not a Row"
            return
        yield from _of_row(row)
    names = [row.name for row in rows]
    twice = next((name for name in names if names.count(name) > 1), None)
    if twice is not None:
        yield f"it has the setting `{twice}` twice"
    missing = next((row.name for row in common if row.name not in names), None)
    if missing is not None:
        yield f"its {declared} have no setting `{missing}`, which `{brought}` brings"


def _of_row(row: Row) -> Iterator[str]:
    setting = f"its setting `{row.name}`"
    for name, why in _mistyped(row, _ROW_FIELDS):
        yield f"the `{name}` of {setting} is not valid: {why}"
    if not isinstance(row.value, get_args(Value)):
        yield f"{setting} has no sort of value, but {row.value!r}"
        return
    try:
        msgspec.convert(msgspec.structs.asdict(row.value), type(row.value))
    except msgspec.ValidationError as error:
        yield f"the {type(row.value).__name__} of {setting} is not valid: {error}"
        return
    block = block_of(row.value)
    if block is not None and block not in KINDS:
        yield f"{setting} is a block of the kind `{block}`, which does not exist"
    elif row.default is not None:
        wanted = wrong_default(row.value, row.default)
        if wanted is not None:
            yield f"the default of {setting} is {row.default!r}, but has to be {wanted}"
    if row.missing not in RULES:
        yield f"{setting} names the rule `{row.missing}`, which does not exist"


def _mistyped(record: msgspec.Struct, fields: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The fields of a record that have another type, and why."""
    for name, wanted in fields.items():
        try:
            msgspec.convert(getattr(record, name), wanted)
        except msgspec.ValidationError as error:
            yield name, str(error)
