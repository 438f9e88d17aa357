"""Events as rows, and back.

A row holds the event as JSON. Two things are next to it, because the database must act on them.
The *end* of a call's attempt is a number made of key and attempt, so that an attempt can end only
once. The hash of a large value refers to a value that is kept elsewhere and left out of the JSON. A
number instead of the key keeps 60 bytes an event out of the index; two of a run's ends collide with
a chance of n**2 / 2**65 (n = a million: 1 in 37 million), and then loudly.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b
from typing import Any

import msgspec

from engine.errors import JournalError
from engine.events import (
    ABOUT_GATES,
    BASE_FORMAT,
    CallFailed,
    CallFinished,
    CallLost,
    CallStarted,
    CancelRequested,
    Event,
    GateAnswered,
    GateOpened,
    NoteGiven,
    RunEnded,
    RunForked,
    RunInterrupted,
    RunResumed,
    RunRetried,
    RunStarted,
    TaskClosed,
    TimerFired,
    decode_event,
    encode_event,
    format_of,
)

__all__ = [
    "BLOB_BYTES",
    "END_TYPES",
    "GATE_TYPES",
    "START_TYPE",
    "Row",
    "decode_row",
    "encode_row",
    "format_needed",
    "hash_of",
]

#: Values whose JSON is longer than this are kept as blobs, in bytes.
BLOB_BYTES = 4096

#: A number for each type of event, for good: it is in the rows of journals.
_TYPES: dict[type, int] = {
    RunStarted: 0,
    CallStarted: 1,
    CallFinished: 2,
    CallFailed: 3,
    TimerFired: 4,
    CancelRequested: 5,
    RunResumed: 6,
    RunEnded: 7,
    GateOpened: 8,
    GateAnswered: 9,
    TaskClosed: 10,
    RunForked: 11,
    RunRetried: 12,
    RunInterrupted: 13,
    CallLost: 14,
    NoteGiven: 15,
}
#: The type number of the start of a run whose decisions may have steps.
_STARTED_WITH_STEPS = 16
#: The type number of an intent, which may not be written when storage runs out.
START_TYPE = _TYPES[CallStarted]
END_TYPES = frozenset({_TYPES[CallFinished], _TYPES[CallFailed]})

#: The type numbers of the events that tell which gates are open.
GATE_TYPES = tuple(_TYPES[type_] for type_ in ABOUT_GATES)

#: The type numbers that a journal of the first format cannot hold, each with the format it needs.
_FORMATS = {
    number: format_of(type_) for type_, number in _TYPES.items() if format_of(type_) > BASE_FORMAT
}
_FORMATS[_STARTED_WITH_STEPS] = 2

_encoder = msgspec.json.Encoder()


class Row(msgspec.Struct, frozen=True, gc=False):
    """One event, ready to be written.

    Attributes:
        type: A number for the event's type.
        end: The number of the attempt that this event ends, or None.
        blob: The hash of the value that was taken out, or None; `data` is its JSON.
        body: The event as JSON, without that value.
    """

    type: int
    end: int | None
    blob: bytes | None
    body: bytes
    data: bytes | None = None


def hash_of(data: bytes) -> bytes:
    """The address of a blob: 20 bytes."""
    return blake2b(data, digest_size=20).digest()


def format_needed(types: Iterable[int]) -> int:
    """The least format of a journal that holds rows of these types."""
    return max((_FORMATS[type_] for type_ in types if type_ in _FORMATS), default=BASE_FORMAT)


def encode_row(event: Event) -> Row:
    """The row of an event.

    Raises:
        JournalError: It holds something that JSON cannot say.
    """
    type_ = _TYPES[type(event)]
    if isinstance(event, RunStarted) and event.format > BASE_FORMAT:
        type_ = _STARTED_WITH_STEPS
    try:
        body = encode_event(event)
        end = None
        if isinstance(event, (CallFinished, CallFailed)):
            name = b"%s#%d" % (event.key.encode(), event.attempt)
            end = int.from_bytes(blake2b(name, digest_size=8).digest(), "big", signed=True)
        if len(body) > BLOB_BYTES and isinstance(event, (CallFinished, RunStarted)):
            value: Any = event.value if isinstance(event, CallFinished) else event.input
            data = _encoder.encode(value)
            if len(data) > BLOB_BYTES:
                return Row(type_, end, hash_of(data), encode_event(_without_value(event)), data)
    except (TypeError, ValueError, OverflowError, RecursionError) as error:
        raise JournalError(f"an event cannot be written as JSON: {error}") from None
    return Row(type_, end, None, body)


def _without_value(event: CallFinished | RunStarted) -> Event:
    if isinstance(event, CallFinished):
        return msgspec.structs.replace(event, value=None)
    return msgspec.structs.replace(event, input={})


def decode_row(body: bytes, blob: bytes | None, data: bytes | None) -> Event:
    """The event of a row.

    Raises:
        ValueError: The row is damaged; the message says how.
    """
    event = decode_event(body)
    if blob is None:
        return event
    if data is None:
        raise ValueError("the value that belongs to it is missing")
    if hash_of(data) != blob:
        raise ValueError("its value is not the value that was written")
    value = msgspec.json.decode(data)
    if isinstance(event, CallFinished):
        return msgspec.structs.replace(event, value=value)
    if isinstance(event, RunStarted):
        return msgspec.structs.replace(event, input=value)
    raise ValueError("it cannot have a value of its own")
