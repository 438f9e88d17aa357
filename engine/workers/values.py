"""What user code returns, made into plain JSON values.

`plain_json` is the border between user code and the run. What passes it is built only of dict,
list, str, int, float, bool and None, and is newly made, so that user code keeps no hold on it. It
can be written as JSON and read back as the same value. Whether it keeps the worker's contract is
not asked here. `verdict_of` brings the short forms of a verifier's answer into the one long form.
"""

from __future__ import annotations

import datetime
import enum
import math
import sys
from collections.abc import Mapping, Sequence
from dataclasses import fields as dataclass_fields
from dataclasses import is_dataclass
from pathlib import PurePath
from typing import Any

import msgspec

from engine.errors import Failure

__all__ = ["plain_json", "verdict_of"]

_MAX_DEPTH = 128
#: What Python, and so whoever reads the journal, converts from and to decimal digits.
_MAX_DIGITS = 4_300
_MAX_INT = 10**_MAX_DIGITS


def plain_json(value: Any) -> Any:
    """A new value of plain JSON types that says the same as `value`.

    Dataclasses, msgspec structs, pydantic models, named tuples, enums, dates, UUIDs and paths
    are converted.

    Raises:
        Failure: `invalid_output`, with the place of the first thing JSON cannot say.
    """
    try:
        return _plain(value, 0)
    except _NotJsonError as error:
        place = "/".join(["", *reversed(error.trail)])
        place = f"at {place[:80]}: " if place else ""
        raise Failure("invalid_output", f"the output is not JSON: {place}{error.problem}") from None


def verdict_of(value: Any) -> Any:
    """The verdict for a verifier's plain answer.

    `True` and `False`, `[ok, feedback]` and `[ok, feedback, score]` become
    `{"ok", "feedback", "score"}`; a map is returned as it is, to be checked like any output.

    Raises:
        Failure: `invalid_output`; it is none of these.
    """
    match value:
        case bool():
            return {"ok": value, "feedback": ""}
        case [bool(ok), str(feedback)]:
            return {"ok": ok, "feedback": feedback}
        case [bool(ok), str(feedback), int() | float() | None as score]:
            return {"ok": ok, "feedback": feedback, "score": score}
        case dict():
            return value
    raise Failure(
        "invalid_output",
        f"a verifier returns {{ok, feedback}}, a bool, or (ok, feedback), not {_kind(value)}",
    )


class _NotJsonError(Exception):
    """What JSON cannot say; `trail` is its place, innermost first, filled in on the way out."""

    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem
        self.trail: list[str] = []


def _plain(value: Any, depth: int) -> Any:
    kind = type(value)
    if kind is str:
        return value if value.isascii() else _text(value)
    if value is None or kind is bool:
        return value
    if kind is int:
        return _integer(value)
    if kind is float:
        return _number(value)
    if depth > _MAX_DEPTH:
        raise _NotJsonError(f"it is nested deeper than {_MAX_DEPTH} levels")
    if kind is dict:
        return _mapping(value, depth)
    if kind is list or kind is tuple:
        return _sequence(value, depth)
    return _converted(value, depth)


def _converted(value: Any, depth: int) -> Any:
    """What is not a plain type itself, but converts to one."""
    if isinstance(value, enum.Enum):
        return _plain(value.value, depth + 1)
    if isinstance(value, str):
        return _text(str.__str__(value))
    if isinstance(value, int):
        return _integer(int(value))
    if isinstance(value, float):
        return _number(float(value))
    if isinstance(value, msgspec.Struct):
        fields = msgspec.structs.fields(value)
        return _mapping({f.encode_name: getattr(value, f.name) for f in fields}, depth)
    if is_dataclass(value) and not isinstance(value, type):
        return _mapping({f.name: getattr(value, f.name) for f in dataclass_fields(value)}, depth)
    # A pydantic model, told by its shape: importing pydantic costs more than most runs.
    dump = getattr(type(value), "model_dump", None)
    if dump is not None and hasattr(type(value), "model_json_schema"):
        return _plain(dump(value, mode="json"), depth + 1)
    if isinstance(value, Mapping):
        return _mapping(value, depth)
    if isinstance(value, (list, tuple)):
        return _sequence(value, depth)
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    # 2 ms to import; only a value that has one imports it itself.
    uuid = sys.modules.get("uuid")
    if isinstance(value, PurePath) or (uuid is not None and isinstance(value, uuid.UUID)):
        return _text(str(value))
    hint = "; return a list" if isinstance(value, (set, frozenset)) else ""
    raise _NotJsonError(f"{_kind(value)} is not JSON{hint}")


def _sequence(value: Sequence[Any], depth: int) -> list[Any]:
    deeper = depth + 1
    result: list[Any] = []
    try:
        for item in value:
            result.append(_plain(item, deeper))
    except _NotJsonError as error:
        error.trail.append(str(len(result)))
        raise
    return result


def _mapping(value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
    deeper = depth + 1
    result: dict[str, Any] = {}
    for key, item in value.items():
        if not isinstance(key, str):
            raise _NotJsonError(f"the key {_short(key)} is {_kind(key)}, not a string")
        name = _text(str.__str__(key))
        try:
            result[name] = _plain(item, deeper)
        except _NotJsonError as error:
            error.trail.append(name)
            raise
    return result


def _text(value: str) -> str:
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise _NotJsonError("the string holds half a surrogate pair") from None
    return value


def _integer(value: int) -> int:
    if -_MAX_INT < value < _MAX_INT:
        return value
    raise _NotJsonError(f"the int has more than {_MAX_DIGITS:,} digits; return it as a string")


def _number(value: float) -> float:
    if math.isfinite(value):
        return value
    raise _NotJsonError(f"{value} is not a JSON number")


def _kind(value: Any) -> str:
    if value is None:
        return "nothing (None)"
    kind = type(value)
    module = "" if kind.__module__ == "builtins" else f"{kind.__module__}."
    return f"a value of type {module}{kind.__qualname__}"


def _short(value: Any) -> str:
    plain = isinstance(value, (int, float, bool, type(None)))
    text = repr(value) if plain else type(value).__name__
    return text if len(text) <= 40 else text[:40] + "..."
