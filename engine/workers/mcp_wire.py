"""Normalizes the messages of an MCP server before the library reads them.

The library validates each message as a whole. One tool with a wrong schema makes the whole list
unusable, an unknown block makes an answer invalid, and an error with a string as its code never
reaches the caller. It also drops the HTTP status. So the list of tools and the result of a call
are moved into `_meta` unchanged, and the library sees an empty one of the right form. An error
keeps all its details, and the HTTP status it came with, in a `Refusal`.

Only what came from the server has a `Refusal`: errors without one were made by the library, such
as a timeout. Nothing here decides what an answer means.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import msgspec
from mcp.shared.message import SessionMessage
from mcp.types import (
    INTERNAL_ERROR,
    ErrorData,
    JSONRPCError,
    JSONRPCRequest,
    JSONRPCResponse,
)
from pydantic import ValidationError

from engine.retry_after import retry_after_ms

__all__ = ["ASIDE", "MAX_EVENT_BYTES", "HttpAnswers", "Refusal", "Watched", "Wire", "kind_words"]

#: The largest answer over HTTP.
MAX_EVENT_BYTES = 10 * 1024 * 1024
#: The key of `_meta` under which the library passes on the original.
ASIDE = "orch/aside"
_MAX_REFUSAL_BYTES = 64 * 1024
_LINE_ENDS = re.compile(rb"(?<=\n)|(?<=\r)(?!\n)")
_SESSION_ID = "mcp-session-id"
_GOODBYE_S = 3.0
_STEPS = ("connect", "read", "write", "pool")


class Refusal(msgspec.Struct, frozen=True):
    """An error as a server gave it.

    Attributes:
        message: Its words, or those of the HTTP answer; may be empty.
        code: The JSON-RPC code as it came; None where the answer is not a JSON-RPC error.
        data: What else it says.
        status: The HTTP status; None on standard input and output.
        retry_after_ms: How long the server asks to wait.
        had_session: The request named a session.
        is_broken: The answer breaks the protocol; `message` says how.
    """

    message: str
    code: Any = None
    data: Any = None
    status: int | None = None
    retry_after_ms: int | None = None
    had_session: bool = False
    is_broken: bool = False


class Wire:
    """What is known of one connection.

    Attributes:
        ended: Set when the server has closed its side.
    """

    def __init__(self, *, over_http: bool) -> None:
        self.ended = asyncio.Event()
        self._over_http = over_http
        #: The methods of requests without an answer, by id.
        self._asked: dict[str, str] = {}
        #: The errors that HTTP answers held, by the id of the request.
        self._refusals: dict[str, Refusal] = {}

    def sent(self, message: Any) -> None:
        """Note a message to the server."""
        if isinstance(message, JSONRPCRequest):
            self._asked[str(message.id)] = message.method

    def refused(self, request_id: Any, refusal: Refusal) -> None:
        """Note an error in an HTTP answer."""
        self._refusals[str(request_id)] = refusal

    def normalize(self, item: Any) -> Any:
        """A message of the server, as the library may see it."""
        if isinstance(item, Exception):
            return self._of_exception(item)
        message = getattr(item, "message", None)
        if isinstance(message, JSONRPCResponse):
            method = self._asked.pop(str(message.id), None)
            asks = _asks(message.result)
            if method == "tools/call" and asks:
                return self._as_error(message.id, Refusal(asks))
            if method == "tools/call" and message.result.get("resultType") != "input_required":
                message.result = _with_aside(message.result, {"content": []})
            elif method == "tools/list":
                message.result = _with_aside(message.result, _listing(message.result))
        elif isinstance(message, JSONRPCError):
            self._keep_error(message)
        return item

    def _keep_error(self, message: JSONRPCError) -> None:
        if message.id is None and len(self._asked) == 1:
            # A server that could not read the id of a request; there is but one.
            (only,) = self._asked
            message.id = _known_id(only)
        self._asked.pop(str(message.id), None)
        refusal = self._refusals.pop(str(message.id), None)
        if refusal is None and not self._over_http:
            error = message.error
            refusal = Refusal(error.message, error.code, error.data)
        if refusal is not None:
            message.error = _error(refusal)

    def _of_exception(self, error: Exception) -> Any:
        """The answer, if any, in a line of standard output that the library could not read."""
        raw = _message_in(error)
        if raw is None or ("error" not in raw and "result" not in raw):
            return error
        request_id = raw.get("id")
        if str(request_id) not in self._asked:
            if request_id is not None or len(self._asked) != 1:
                return error
            (request_id,) = self._asked
        if isinstance(raw.get("result"), dict):
            known = JSONRPCResponse(jsonrpc="2.0", id=_known_id(request_id), result=raw["result"])
            return self.normalize(SessionMessage(known))
        return self._as_error(request_id, _refusal_in(raw))

    def _as_error(self, request_id: Any, refusal: Refusal) -> Any:
        self._asked.pop(str(request_id), None)
        known = _known_id(request_id)
        return SessionMessage(JSONRPCError(jsonrpc="2.0", id=known, error=_error(refusal)))


def _known_id(request_id: Any) -> int | str:
    """An id as the library gave it; some servers send back a text."""
    text = str(request_id)
    return int(text) if text.isdecimal() else text


def _error(refusal: Refusal) -> ErrorData:
    code = refusal.code
    is_code = isinstance(code, int) and not isinstance(code, bool)
    return ErrorData(
        code=code if is_code else INTERNAL_ERROR, message=refusal.message, data=refusal
    )


def _message_in(error: Exception) -> dict[str, Any] | None:
    """The JSON object that the library could not take for a message."""
    if isinstance(error, ValidationError):
        # The key of a message that is missing is reported with the whole message.
        for found in error.errors(include_url=False, include_context=False):
            whole = found["input"]
            if found["type"] == "missing" and len(found["loc"]) == 2 and isinstance(whole, dict):
                return dict(whole)
    return None


def _refusal_in(message: dict[str, Any], **more: Any) -> Refusal:
    """The error that a message holds, or that it is by its form."""
    error = message.get("error")
    if error is None and "result" in message:
        words = f"its result is {kind_words(message['result'])}, not an object"
        return Refusal(words, is_broken=True, **more)
    if not isinstance(error, dict):
        return Refusal(str(error) if isinstance(error, str) else "", error, **more)
    text = error.get("message")
    return Refusal(
        text if isinstance(text, str) else "", error.get("code"), error.get("data"), **more
    )


def kind_words(value: Any) -> str:
    """What a JSON value is, with its article."""
    names = {type(None): "null", bool: "a boolean", str: "a text", list: "a list", dict: "a map"}
    return names.get(type(value), "a number")


def _asks(result: Any) -> str:
    """What a result that is a question to the client says; empty for any other."""
    if result.get("resultType") != "input_required":
        return ""
    requests = result.get("inputRequests")
    if not isinstance(requests, dict) or not requests:
        return ""
    methods = {str(item.get("method")) for item in requests.values() if isinstance(item, dict)}
    return f"the tool asks for input in the middle of the call ({', '.join(sorted(methods))})"


def _with_aside(raw: dict[str, Any], seen: dict[str, Any]) -> dict[str, Any]:
    """A result of the form of the protocol, with the real one set aside."""
    # What the newest version demands; older ones leave it out of account.
    needed = {"resultType": "complete", "ttlMs": 0, "cacheScope": "private"}
    return {**needed, **seen, "_meta": {ASIDE: raw}}


def _listing(result: dict[str, Any]) -> dict[str, Any]:
    """A list of tools in which the library finds nothing wrong.

    All it has to know of a tool is which arguments go along as headers too.
    """
    tools = result.get("tools")
    seen: list[dict[str, Any]] = []
    for tool in tools if isinstance(tools, list) else ():
        if isinstance(tool, dict) and isinstance(tool.get("name"), str):
            schema: dict[str, Any] = {"type": "object"}
            given = tool.get("inputSchema")
            if isinstance(given, dict) and _has_headers(given):
                schema |= {"properties": given.get("properties")}
            seen.append({"name": tool["name"], "inputSchema": schema})
    return {"tools": seen}


def _has_headers(schema: dict[str, Any]) -> bool:
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return False
    try:
        return b'"x-mcp-header"' in msgspec.json.encode(properties) and all(
            isinstance(value, dict | bool) for value in properties.values()
        )
    except (TypeError, ValueError, RecursionError):
        return False


# ---------------------------------------------------------------- streams


class Watched:
    """A transport of the library whose messages go through a `Wire`."""

    def __init__(self, transport: Any, wire: Wire) -> None:
        self._transport = transport
        self._wire = wire

    async def __aenter__(self) -> tuple[Any, Any]:
        read, write = await self._transport.__aenter__()
        return _Incoming(read, self._wire), _Outgoing(write, self._wire)

    async def __aexit__(self, *error: Any) -> Any:
        return await self._transport.__aexit__(*error)


class _Stream:
    def __init__(self, stream: Any, wire: Wire) -> None:
        self._stream = stream
        self._wire = wire

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    async def __aenter__(self) -> Any:
        await self._stream.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> Any:
        return await self._stream.__aexit__(*error)


class _Incoming(_Stream):
    def __aiter__(self) -> _Incoming:
        return self

    async def __anext__(self) -> Any:
        try:
            item = await self._stream.__anext__()
        except StopAsyncIteration:
            self._wire.ended.set()
            raise
        return self._wire.normalize(item)


class _Outgoing(_Stream):
    async def send(self, item: Any) -> None:
        self._wire.sent(getattr(item, "message", None))
        await self._stream.send(item)


# ---------------------------------------------------------------- HTTP


class HttpAnswers(httpx2.AsyncBaseTransport):
    """HTTP, except that errors in answers to JSON-RPC requests are normalized.

    Args:
        wire: Told of every error.
        connections: What sends.
    """

    def __init__(self, wire: Wire, connections: httpx2.AsyncBaseTransport) -> None:
        self._wire = wire
        self._connections = connections

    async def __aenter__(self) -> HttpAnswers:
        await self._connections.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> None:
        await self._connections.__aexit__(*error)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._connections.aclose()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send a request, and give its answer as the library can read it."""
        if request.method == "DELETE":
            # The end of a session, for which the library waits without a limit.
            request.extensions["timeout"] = dict.fromkeys(_STEPS, _GOODBYE_S)
        response = await self._connections.handle_async_request(request)
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        is_refusal = response.status_code >= 400
        if request.method == "POST" and (is_refusal or kind == "application/json"):
            asked = _id_of(await request.aread())
            if asked is None:
                return response
            if is_refusal:
                return await self._refused(request, response, asked, kind)
            return await self._answered(response, asked)
        if response.status_code == 200 and kind == "text/event-stream":
            asked = _id_of(await request.aread()) if request.method == "POST" else None
            stream = _Events(response, asked, self._wire)
            return httpx2.Response(200, headers=_headers(response), stream=stream)
        return response

    async def _refused(
        self, request: httpx2.Request, response: httpx2.Response, asked: Any, kind: str
    ) -> httpx2.Response:
        """A status that is not a success, as a JSON-RPC error."""
        body, _ = await _body(response, _MAX_REFUSAL_BYTES)
        more: dict[str, Any] = {
            "status": response.status_code,
            "retry_after_ms": retry_after_ms(response.headers),
            "had_session": _SESSION_ID in request.headers,
        }
        read = _object_in(body)
        if read is not None and isinstance(read.get("error"), dict):
            refusal = _refusal_in(read, **more)
        else:
            words = "" if kind == "text/html" else " ".join(body.decode(errors="replace").split())
            refusal = Refusal(words[:300] or response.reason_phrase, **more)
        return self._error(response, asked, refusal)

    async def _answered(self, response: httpx2.Response, asked: Any) -> httpx2.Response:
        """A whole answer in JSON, of which only errors are changed."""
        body, is_whole = await _body(response, MAX_EVENT_BYTES)
        if not is_whole:
            words = f"it is larger than {MAX_EVENT_BYTES // 1024 // 1024} MiB"
            return self._error(response, asked, Refusal(words, status=200, is_broken=True))
        read = _object_in(body)
        if read is None:
            words = "it is not a JSON-RPC message"
            return self._error(response, asked, Refusal(words, status=200, is_broken=True))
        if "method" not in read and not isinstance(read.get("result"), dict):
            return self._error(response, asked, _refusal_in(read, status=200))
        is_form = str(read.get("id")) == str(asked) and "jsonrpc" in read
        if "result" in read and not (is_form and body.lstrip().startswith(b"{")):
            body = msgspec.json.encode({**read, "jsonrpc": "2.0", "id": asked})
        return httpx2.Response(response.status_code, headers=_headers(response), content=body)

    def _error(self, response: httpx2.Response, asked: Any, refusal: Refusal) -> httpx2.Response:
        self._wire.refused(asked, refusal)
        headers = {"content-type": "application/json"}
        return httpx2.Response(
            response.status_code, headers=headers, content=_error_text(asked, refusal)
        )


class _Events(httpx2.AsyncByteStream):
    """A stream of events, in which only errors are changed."""

    def __init__(self, response: httpx2.Response, asked: Any, wire: Wire) -> None:
        self._response = response
        self._asked = asked
        self._wire = wire

    async def __aiter__(self) -> AsyncIterator[bytes]:
        pending: list[bytes] = []
        size = 0
        async for piece in self._response.aiter_bytes():
            end = max(piece.rfind(b"\n"), piece.rfind(b"\r")) + 1
            pending.append(piece[:end] if end else piece)
            size += len(pending[-1])
            # A line that is too long is the library's to refuse.
            if end or size > MAX_EVENT_BYTES:
                yield self._normal(b"".join(pending))
                pending, size = ([piece[end:]], len(piece) - end) if end else ([], 0)
        if pending:
            yield self._normal(b"".join(pending))

    async def aclose(self) -> None:
        await self._response.aclose()

    def _normal(self, lines: bytes) -> bytes:
        if b'"error"' not in lines:
            return lines
        return b"".join(map(self._normal_line, _LINE_ENDS.split(lines)))

    def _normal_line(self, line: bytes) -> bytes:
        if not line.startswith(b"data:") or b'"error"' not in line:
            return line
        read = _object_in(line[5:])
        if read is None or "method" in read or read.get("error") is None:
            return line
        asked = read.get("id") if self._asked is None else self._asked
        if asked is None:
            return line
        refusal = _refusal_in(read, status=200)
        self._wire.refused(asked, refusal)
        return b"data: " + _error_text(asked, refusal) + line[len(line.rstrip(b"\r\n")) :]


def _error_text(asked: Any, refusal: Refusal) -> bytes:
    """A JSON-RPC error that the library can read."""
    code = refusal.code
    is_code = isinstance(code, int) and not isinstance(code, bool)
    error = {
        "code": code if is_code else INTERNAL_ERROR,
        "message": refusal.message,
        "data": refusal.data,
    }
    return msgspec.json.encode({"jsonrpc": "2.0", "id": asked, "error": error})


def _id_of(body: bytes) -> Any:
    """The id of a JSON-RPC request; None for what asks for no answer."""
    read = _object_in(body)
    return None if read is None or "method" not in read else read.get("id")


def _object_in(text: bytes) -> dict[str, Any] | None:
    try:
        read = msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None
    if isinstance(read, list) and len(read) == 1:
        (read,) = read  # a batch of one, which an older version of the protocol had
    return read if isinstance(read, dict) else None


async def _body(response: httpx2.Response, limit: int) -> tuple[bytes, bool]:
    """The beginning of a body, unpacked, and whether it is all."""
    pieces: list[bytes] = []
    left = limit
    try:
        async for piece in response.aiter_bytes():
            pieces.append(piece[:left])
            if len(piece) > left:
                return b"".join(pieces), False
            left -= len(piece)
    finally:
        await response.aclose()
    return b"".join(pieces), True


def _headers(response: httpx2.Response) -> list[tuple[str, str]]:
    """The headers of an answer whose body is no longer packed."""
    gone = ("content-encoding", "content-length", "transfer-encoding")
    return [(name, value) for name, value in response.headers.items() if name.lower() not in gone]
