"""A session with one MCP server: started, used by any number of calls at once, ended.

The only module that imports `mcp` (0.8 s of CPU, 2.5 s where its byte code is not cached), so it is
itself imported in a thread when a run first calls a tool. A session belongs to a task of its own,
because the library's contexts must be left by the task that entered them; callers only wait for
it. A session that has been lost is never revived: whoever needs the server opens a new one.

The library would check answers against the schemas that the server gives for them, with Python's
regular expressions and on the event loop. It never sees them: they are taken out of what the
server says on its way in, and checked in bounded time here (`engine.sema.types.foreign_schema`).

A server on stdin and stdout leads a process group of its own, gets only a few variables of the
environment besides those the file gives it, and writes its standard error to us alone. It does not
outlive the engine (`engine.workers.children`). A server over HTTP is reached at its own address
only: no proxy, no redirect to another host.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TextIO

import httpx2
import msgspec
from mcp import Client, MCPError, StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import (
    CONNECTION_CLOSED,
    INVALID_REQUEST,
    METHOD_NOT_FOUND,
    REQUEST_TIMEOUT,
    CallToolResult,
    Implementation,
)
from pydantic import ValidationError

from engine.errors import Failure
from engine.sema.kinds.mcp_snapshot import Tool
from engine.sema.types.foreign_schema import ForeignSchema
from engine.version import __version__
from engine.workers.children import Held
from engine.workers.messages import last_lines
from engine.workers.process import Tail

__all__ = ["Answer", "Place", "Session"]

# What the library has to say is said in failures; its tracebacks belong on no terminal.
logging.getLogger("mcp").addHandler(logging.NullHandler())

#: How long a server may take to be ready, where it has no `timeout`.
_START_S = 30.0
_CONNECT_S = 10.0
#: The largest answer over HTTP.
_MAX_EVENT_BYTES = 10 * 1024 * 1024
_KEEP_STDERR_BYTES = 8_192
#: A list of tools that does not end is not a list.
_MAX_PAGES = 100


class Place(msgspec.Struct, frozen=True):
    """Where a server is: a command with its environment and folder, or an address.

    `mark` names the run it is started for; see `engine.runtime.marks`.
    """

    name: str
    command: Sequence[str] = ()
    env: Mapping[str, str] = {}
    cwd: str | None = None
    url: str | None = None
    headers: Mapping[str, str] = {}
    timeout_ms: int | None = None
    mark: str = ""


class Answer(msgspec.Struct, frozen=True):
    """What a tool gave back.

    Attributes:
        is_error: It says itself that it failed.
        structured: A JSON value, or None.
        texts: The texts, one a block.
        others: The kinds of blocks that are not text: `image`, `audio`.
    """

    is_error: bool
    structured: Any
    texts: tuple[str, ...] = ()
    others: tuple[str, ...] = ()


class Session:
    """One session with one server.

    Attributes:
        tools: What the server offers, by name, once it is ready.
    """

    def __init__(self, place: Place) -> None:
        self.tools: Mapping[str, Tool] = {}
        self._place = place
        #: The schemas of answers, by tool, as they came; then made ready, at the first answer.
        self._promised: dict[str, Any] = {}
        self._promises: dict[str, tuple[Any, ForeignSchema]] = {}
        self._client: Client | None = None
        #: Set when the server has gone away, or is to be left.
        self._over = asyncio.Event()
        self._ready = asyncio.get_running_loop().create_future()
        self._said = b""
        self._owner = asyncio.create_task(self._own())

    @property
    def lost(self) -> bool:
        """Whether it can no longer be used."""
        return self._over.is_set() or self._owner.done()

    async def ready(self) -> None:
        """Wait until the server can be called.

        Raises:
            Failure: `timeout`, or `crashed` where it cannot be started or reached.
        """
        timeout_ms = self._place.timeout_ms
        patience_s = _START_S if timeout_ms is None else timeout_ms / 1000
        await asyncio.wait((self._ready,), timeout=patience_s)
        if not self._ready.done():
            await self.close()
            words = f"server `{self._place.name}` is not ready after {patience_s:g} s"
            raise Failure("timeout", words + self._last_words(), retryable=True)
        problem = self._ready.result()
        if problem is not None:
            raise Failure(
                problem.mode, problem.message + self._last_words(), retryable=problem.retryable
            )

    async def call(self, tool: str, arguments: Mapping[str, Any]) -> Answer:
        """Call a tool.

        Raises:
            Failure: `timeout`; `crashed` where the server went away in the middle;
                `invalid_output` where its answer breaks the protocol or its own schema.
        """
        assert self._client is not None
        try:
            result = await self._client.call_tool(tool, dict(arguments))
        except MCPError as error:
            if _is_cut(error):
                words = f"connection lost: server `{self._place.name}`: {error.message}"
                raise Failure("crashed", words, retryable=True) from None
            if self._over.is_set() or _is_lost(error):
                raise await self._gone() from None
            if error.code == REQUEST_TIMEOUT:
                words = f"no answer from server `{self._place.name}` in time"
                raise Failure("timeout", words, retryable=True) from None
            return Answer(is_error=True, structured=error.data, texts=(error.message,))
        except (RuntimeError, ValidationError) as error:
            words = f"the answer of tool `{tool}` is not valid: {error}"
            raise Failure("invalid_output", words) from None
        if not result.is_error:
            self._check(tool, result)
        return _answer(result)

    def _check(self, tool: str, result: CallToolResult) -> None:
        """Hold an answer against what the server promised of it.

        Raises:
            Failure: `invalid_output`.
        """
        promised = self._promised.get(tool)
        if promised is None:
            return
        words = f"the answer of tool `{tool}` is not valid: "
        if "structured_content" not in result.model_fields_set:
            raise Failure("invalid_output", words + "it has a schema, and there is no data")
        kept, promise = self._promises.get(tool, (None, None))
        try:
            if promise is None or kept is not promised:
                promise = ForeignSchema(promised)
                self._promises[tool] = (promised, promise)
        except ValueError as error:
            words += f"its schema cannot be checked: {error}"
            raise Failure("invalid_output", words) from None
        problems = promise.problems(result.structured_content)
        if problems:
            raise Failure("invalid_output", words + "; ".join(problems))

    async def close(self) -> None:
        """End the session and the server's process; waits for both, which takes seconds at most."""
        if not self._over.is_set():
            self._over.set()
            if not self._ready.done():
                self._owner.cancel()
        await asyncio.wait((self._owner,))

    # ------------------------------------------------------------ the task that owns it

    async def _own(self) -> None:
        problem: Failure | None = None
        try:
            async with self._transport() as transport:
                client = Client(
                    _Watched(transport, self._over, self._promised),
                    read_timeout_seconds=_seconds(self._place.timeout_ms),
                    client_info=Implementation(name="orch", version=__version__),
                    cache=None,
                )
                async with client:
                    self.tools = await _tools(client, self._promised)
                    self._client = client
                    self._ready.set_result(None)
                    await self._over.wait()
        except BaseException as error:
            # A cancel comes from `close` alone; the task ends with it, as it would have anyway.
            problem = self._problem(error)
        finally:
            self._over.set()
            if not self._ready.done():
                self._ready.set_result(problem or Failure("crashed", "the session has ended"))

    @asynccontextmanager
    async def _transport(self) -> AsyncIterator[Any]:
        place = self._place
        if place.url is not None:
            async with httpx2.AsyncClient(
                headers=dict(place.headers),
                trust_env=False,
                # A stream may be silent for long; calls have the session's own timeout.
                timeout=httpx2.Timeout(None, connect=_CONNECT_S),
            ) as http:
                yield streamable_http_client(
                    place.url, http_client=http, max_sse_event_size=_MAX_EVENT_BYTES
                )
            return
        program, *arguments = place.command
        with Tail(_KEEP_STDERR_BYTES) as errors, Held(place.mark) as held:
            parameters = StdioServerParameters(
                command=program,
                args=arguments,
                env={**place.env, **held.environment},
                cwd=place.cwd,
            )
            errors.listen()
            with os.fdopen(errors.write_end, "w", closefd=False) as log:
                try:
                    yield _started(parameters, log, errors, held)
                finally:
                    errors.drain()
                    self._said = errors.value()

    def _problem(self, error: BaseException) -> Failure:
        """Why there is no session."""
        name = self._place.name
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        match error:
            case FileNotFoundError() | PermissionError() | NotADirectoryError():
                words = f"cannot start server `{name}`: {error.strerror}: {error.filename}"
                return Failure("crashed", words)
            case MCPError() if _is_lost(error):
                words = f"server `{name}` ended before it was ready"
            case httpx2.TransportError() | OSError():
                words = f"cannot reach server `{name}`: {str(error) or type(error).__name__}"
            case _:
                words = f"no session with server `{name}`: {str(error) or type(error).__name__}"
        return Failure("crashed", words, retryable=True)

    async def _gone(self) -> Failure:
        """The failure of a call whose server went away; the session is closed then."""
        await asyncio.shield(self.close())
        words = f"connection lost: server `{self._place.name}` went away during the call"
        return Failure("crashed", words + self._last_words(), retryable=True)

    def _last_words(self) -> str:
        said = last_lines(self._said)
        return f" ({said})" if said else ""


@asynccontextmanager
async def _started(
    parameters: StdioServerParameters, log: TextIO, errors: Tail, held: Held
) -> AsyncIterator[Any]:
    async with stdio_client(parameters, errlog=log) as streams:
        # The library does not say which process it is: the mark has to do.
        held.runs()
        # The server holds its own copy; ours would keep the pipe open after its end.
        errors.close_write_end()
        yield streams


class _Watched:
    """A transport that tells when the server has closed its side, and keeps schemas aside."""

    def __init__(self, transport: Any, ended: asyncio.Event, promised: dict[str, Any]) -> None:
        self._transport = transport
        self._ended = ended
        self._promised = promised

    async def __aenter__(self) -> tuple[Any, Any]:
        read, write = await self._transport.__aenter__()
        return _WatchedStream(read, self._ended, self._promised), write

    async def __aexit__(self, *error: Any) -> Any:
        return await self._transport.__aexit__(*error)


class _WatchedStream:
    def __init__(self, stream: Any, ended: asyncio.Event, promised: dict[str, Any]) -> None:
        self._stream = stream
        self._ended = ended
        self._promised = promised

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    async def __aenter__(self) -> _WatchedStream:
        await self._stream.__aenter__()
        return self

    async def __aexit__(self, *error: Any) -> Any:
        return await self._stream.__aexit__(*error)

    def __aiter__(self) -> _WatchedStream:
        return self

    async def __anext__(self) -> Any:
        try:
            message = await self._stream.__anext__()
        except StopAsyncIteration:
            self._ended.set()
            raise
        _keep_aside(message, self._promised)
        return message


def _keep_aside(message: Any, promised: dict[str, Any]) -> None:
    """Take the schemas of answers out of a list of tools, so that the library checks none."""
    result = getattr(getattr(message, "message", None), "result", None)
    tools = result.get("tools") if isinstance(result, dict) else None
    for tool in tools if isinstance(tools, list) else ():
        if isinstance(tool, dict) and isinstance(tool.get("name"), str):
            schema = tool.pop("outputSchema", None)
            promised[tool["name"]] = schema if isinstance(schema, dict) else None


async def _tools(client: Client, promised: Mapping[str, Any]) -> dict[str, Tool]:
    """What a server offers, by name, in order of names."""
    found: dict[str, Tool] = {}
    cursor: str | None = None
    for _ in range(_MAX_PAGES):
        try:
            page = await client.list_tools(cursor=cursor)
        except MCPError as error:
            if error.code == METHOD_NOT_FOUND:
                break
            raise
        for tool in page.tools:
            output = promised.get(tool.name)
            found[tool.name] = Tool(tool.input_schema, output, tool.description)
        cursor = page.next_cursor
        if cursor is None:
            break
    return dict(sorted(found.items()))


def _answer(result: CallToolResult) -> Answer:
    texts: list[str] = []
    others: list[str] = []
    for block in result.content:
        if block.type == "text":
            texts.append(block.text)
        elif block.type == "resource" and hasattr(block.resource, "text"):
            texts.append(block.resource.text)
        else:
            others.append(block.type)
    return Answer(bool(result.is_error), result.structured_content, tuple(texts), tuple(others))


def _is_lost(error: MCPError) -> bool:
    """Whether an error says that the session is over.

    The code alone does not: many servers use the same one for errors of their own.
    """
    if error.code == CONNECTION_CLOSED:
        return error.message == "Connection closed"
    # A server over HTTP that was started again does not know the session: nothing was done.
    return error.code == INVALID_REQUEST and error.message == "Session terminated"


def _is_cut(error: MCPError) -> bool:
    """Whether the one answer was cut short, over HTTP; other calls may still get theirs."""
    return error.code == CONNECTION_CLOSED and error.message.startswith("SSE stream ")


def _seconds(duration_ms: int | None) -> float | None:
    return None if duration_ms is None else duration_ms / 1000
