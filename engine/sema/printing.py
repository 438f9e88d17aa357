"""How values print in templates: strings as they are, everything else as JSON.

Within an evaluation (`engine.sema.metering`) a text is paid for before it is made, so a small
value that holds another one many times over cannot become a huge text. Elsewhere nothing is
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

from engine.sema.metering import (
    CHARACTERS_PER_STEP,
    CONTAINERS,
    EvaluationError,
    check_text,
    counted_list,
    current,
    is_under_way,
    take,
    take_size,
    weight,
)

__all__ = ["fence", "json_text", "kind_of", "text_of"]

_MAX_INDENT = 32
#: Of UTF-8, at most.
_BYTES_A_CHARACTER = 4


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
    if not current.meter.shares:
        try:
            # Faster by far than a walk, and about the same text.
            encoded = _encode(value)
        except (TypeError, ValueError, OverflowError, RecursionError):
            pass
        else:
            check_text(len(encoded) // _BYTES_A_CHARACTER)
            take(len(encoded) // CHARACTERS_PER_STEP + encoded.count(b",") // 4)
            return
    take(weight(value, 0))


def text_of(value: Any) -> str:
    """How a value prints: strings as they are, everything else as JSON."""
    if isinstance(value, str):
        return value
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
