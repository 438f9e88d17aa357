"""OpenAI's chat protocol: the body of a request, and what an answer says, whole or in pieces.

Servers differ in what they leave out and what they add. Content may be a list of parts. A thought
has a field of its own (`reasoning_content`, `reasoning`). An error in the middle of a stream has a
number, a word or nothing as its code. All of that is read here. Nothing here opens a connection.

Source: OpenAI's reference of chat completions and of their streaming; server-sent events as the
HTML standard has them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from engine.dialects.table import known
from engine.models.answers import Answer, messages_of, schema_name, text_of
from engine.runtime.ports import ModelRequest

__all__ = [
    "BrokenAnswer",
    "Events",
    "StreamError",
    "body_of",
    "gather",
    "read_answer",
    "response_format",
]

#: Options that say where and as whom to ask, not what.
_NOT_IN_BODY = frozenset(
    {
        "api_base",
        "api_key",
        "api_version",
        "base_url",
        "drop_params",
        "extra_body",
        "extra_headers",
        "headers",
        "max_retries",
        "num_retries",
        "organization",
        "timeout",
    }
)
#: Where servers put what a model thought.
_THOUGHTS = ("reasoning_content", "reasoning", "thinking")


class BrokenAnswer(Exception):
    """What came is not an answer in the protocol; the message says what it is."""


class StreamError(Exception):
    """The server reported an error in the middle of a stream.

    Attributes:
        error: What it reported, an object or text.
    """

    def __init__(self, error: Any) -> None:
        super().__init__(str(error))
        self.error = error


def body_of(
    request: ModelRequest, options: Mapping[str, Any], model: str, *, stream: bool
) -> dict[str, Any]:
    """The body of a request.

    An option of the program's wins over what is set here; one that is null is left out, whatever it
    is (`extra = { stream_options: null }`, for a server that does not know it).
    """
    body: dict[str, Any] = {"model": model} if model else {}
    body["messages"] = messages_of(request.messages, marks="claude" in model.lower())
    if not options.keys() & {"max_completion_tokens", "max_tokens"}:
        body["max_tokens"] = request.max_tokens
    if request.structured and request.schema is not None:
        body["response_format"] = response_format(request)
    if stream:
        body["stream"] = True
        body["stream_options"] = {"include_usage": True}
    given = {key: value for key, value in options.items() if key not in _NOT_IN_BODY}
    beside = options.get("extra_body")
    body |= {**given, **(beside if isinstance(beside, Mapping) else {})}
    if not body.get("stream"):
        body["stream_options"] = None  # OpenAI refuses it without a stream
    return {key: value for key, value in body.items() if value is not None}


def response_format(request: ModelRequest) -> dict[str, Any]:
    """The schema of the answer, as the protocol has it."""
    assert request.schema is not None
    return {
        "type": "json_schema",
        "json_schema": {
            "name": schema_name(request),
            "schema": dict(request.schema),
            "strict": known(request.info.dialect).strict,
        },
    }


def read_answer(data: bytes) -> Answer:
    """Read a whole answer.

    Raises:
        BrokenAnswer: It is none.
        StreamError: It is an error, sent with a status that says otherwise.
    """
    said = _object(data)
    choices = said.get("choices")
    if not isinstance(choices, list):
        if said.get("error"):
            raise StreamError(said["error"])
        raise BrokenAnswer("the answer has no `choices`")
    answer = Answer(usage=_mapping(said.get("usage")))
    if choices:
        choice = _mapping(choices[0]) or {}
        if choice.get("error"):
            raise StreamError(choice["error"])
        _take(answer, _mapping(choice.get("message")) or {})
        answer.finish_reason = _text(choice.get("finish_reason")) or None
    return answer


def gather(answer: Answer, data: bytes) -> str:
    """Add one event of a stream to an answer; gives the piece of text in it.

    Raises:
        BrokenAnswer: It is not an event of the protocol.
        StreamError: It reports an error.
    """
    said = _object(data)
    if said.get("error"):
        raise StreamError(said["error"])
    answer.usage = _mapping(said.get("usage")) or answer.usage
    choices = said.get("choices")
    if not isinstance(choices, list) or not choices:
        return ""
    choice = _mapping(choices[0]) or {}
    if choice.get("error"):
        raise StreamError(choice["error"])
    answer.finish_reason = _text(choice.get("finish_reason")) or answer.finish_reason
    # Some servers end a stream with the whole message instead of a last piece.
    return _take(answer, _mapping(choice.get("delta")) or {})


def _take(answer: Answer, message: Mapping[str, Any]) -> str:
    piece = text_of(message.get("content"))
    answer.text += piece
    answer.refusal += _text(message.get("refusal"))
    for key in _THOUGHTS:
        answer.reasoning += _text(message.get(key))
    answer.tools = answer.tools or bool(message.get("tool_calls") or message.get("function_call"))
    return piece


class Events:
    """Server-sent events out of the bytes of a stream, however these are cut."""

    def __init__(self) -> None:
        self._rest = b""
        self.ended = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Take the next bytes; gives the data of each event that they complete.

        Each event of the protocol is one `data:` line, so lines are what is waited for; comments
        and other fields are passed over.
        """
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            if not line.startswith(b"data:"):
                continue
            value = line[5:].strip()
            if value == b"[DONE]":
                self.ended = True
            elif value:
                yield value

    def rest(self) -> Iterator[bytes]:
        """The data of a last line that nothing ended."""
        return self.feed(b"\n")


def _object(data: bytes) -> Mapping[str, Any]:
    try:
        said = msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise BrokenAnswer(_what_it_is(data, error)) from None
    if not isinstance(said, dict):
        raise BrokenAnswer("the answer is not a JSON object")
    return said


def _what_it_is(data: bytes, error: Exception) -> str:
    head = data[:200].lstrip().lower()
    if head.startswith((b"<!doctype", b"<html", b"<?xml", b"<head", b"<body")):
        return "the server answered with a web page, not JSON: is `api_base` right?"
    return f"what the server answered is not JSON ({error})" if data else "the answer is empty"


def _mapping(value: Any) -> Mapping[str, Any] | None:
    return value if isinstance(value, dict) else None


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
