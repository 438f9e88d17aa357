"""How values print in templates: strings as they are, everything else as JSON.

Within an evaluation (`engine.sema.expressions.metering`) a text is paid for before it is made, so a
small value that holds another one many times over cannot become a huge text. Elsewhere nothing is
counted: the engine writes its own values as it likes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from types import GeneratorType
from typing import Any

import jinja2
import msgspec

from engine.sema.expressions.metering import (
    CHARACTERS_PER_STEP,
    CONTAINERS,
    EvaluationError,
    check_text,
    counted_list,
    current,
    is_under_way,
    key_characters,
    take,
    take_size,
    weight,
)

__all__ = ["fence", "json_text", "kind_of", "text_of"]

_MAX_INDENT = 32
#: Of UTF-8, at most.
_BYTES_A_CHARACTER = 4
#: How many items are encoded at a time to know their size.
_PIECE = 16


def kind_of(value: Any) -> str:
    """What a value is called in messages."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a bool"
    if isinstance(value, int | float):
        return "a number"
    if isinstance(value, str):
        return "a string"
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, list | tuple | GeneratorType | range):
        return "a list"
    return f"a {type(value).__name__}"


def _plain(value: Any) -> Any:
    """JSON's idea of what `json.dumps` does not know."""
    if isinstance(value, jinja2.Undefined):
        str(value)  # raises with the reason
    if isinstance(value, Mapping):
        plain: Any = dict(value)
    elif isinstance(value, GeneratorType | range | Iterator) or hasattr(value, "__iter__"):
        plain = counted_list(value)
    else:
        raise EvaluationError(f"{kind_of(value)} cannot be written as JSON")
    if is_under_way():
        take_size(plain)
    return plain


def _encoder(indent: int | None) -> json.JSONEncoder:
    return json.JSONEncoder(
        ensure_ascii=False,
        allow_nan=False,
        # What holds itself ends as a RecursionError.
        check_circular=False,
        indent=indent,
        separators=(",", ":") if indent is None else (",", ": "),
        default=_plain,
    )


_compact = _encoder(None).encode
_encode = msgspec.json.Encoder().encode


def json_text(value: Any, indent: int | None = None) -> str:
    """Compact JSON, non-ASCII kept. Raises EvaluationError for what JSON cannot say."""
    if indent is not None and not 0 <= indent <= _MAX_INDENT:
        raise EvaluationError(f"`json` takes an indent of 0 to {_MAX_INDENT}")
    counts = is_under_way()
    try:
        if counts and type(value) in CONTAINERS:
            _pay(value, indent)
        text = _compact(value) if indent is None else _encoder(indent).encode(value)
    except (TypeError, ValueError, RecursionError) as error:
        raise EvaluationError(f"this cannot be written as JSON: {error}") from None
    if counts:
        check_text(len(text))
    return text


def _pay(value: Any, indent: int | None) -> None:
    """Pay for the JSON of a list or map before it is written."""
    if indent is not None:
        # Written in Python, which takes several times as long.
        take(4 * weight(value, indent))
        return
    try:
        if not current.meter.shares:
            _pay_encoded(value)
            return
    except (TypeError, ValueError, OverflowError, RecursionError):
        pass  # it holds what only we can print
    take(weight(value, 0))


def _pay_encoded(value: Any) -> None:
    """Pay for a value that holds nothing twice, by its JSON: faster by far than a walk.

    It is encoded in pieces, so that no more of it exists at a time than is needed.
    """
    if len(value) <= _PIECE:
        _take_encoded(_encode(value))
        return
    items = value
    if type(value) is dict:
        take(key_characters(value) // CHARACTERS_PER_STEP)
        items = list(value.values())
    size = 0
    for start in range(0, len(items), _PIECE):
        size += _take_encoded(_encode(items[start : start + _PIECE]))
        check_text(size // _BYTES_A_CHARACTER)


def _take_encoded(encoded: bytes) -> int:
    size = len(encoded)
    take(1 + size // CHARACTERS_PER_STEP + encoded.count(b",") // 4)
    return size


def text_of(value: Any) -> str:
    """How a value prints: strings as they are, everything else as JSON."""
    if isinstance(value, str):
        return value
    if type(value) is int:
        return str(value)
    if isinstance(value, jinja2.Undefined):
        return str(value)  # raises
    if value is None or isinstance(value, bool | int | float):
        return json.dumps(value)
    if callable(value):
        raise EvaluationError("a function cannot be printed; call it with `()`")
    return json_text(value)


def fence(content: Any) -> str:
    """Put text from outside between tags it cannot close.

    The tag's id is derived from the content, and is not in it; the same content gives the same
    fence, so prompts stay repeatable.
    """
    text = text_of(content)
    take(len(text) // 16)
    salt = 0
    while True:
        mark = hashlib.sha256(f"{salt}\n{text}".encode("utf-8", "surrogatepass")).hexdigest()[:12]
        if mark not in text:
            return f'<untrusted id="{mark}">\n{text}\n</untrusted id="{mark}">'
        salt += 1
