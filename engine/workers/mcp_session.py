"""A session with one MCP server: started, used by any number of calls at once, ended.

The only module that imports `mcp` (0.8 s of CPU, 2.5 s where its byte code is not cached), so it is
itself imported in a thread when a run first calls a tool. A session belongs to a task of its own,
because the library's contexts must be left by the task that entered them; callers only wait for
it. A session that has been lost is never revived: whoever needs the server opens a new one.

Messages of the server go through `engine.workers.mcp_wire` before the library reads them. So the
library never checks an answer against the server's schema, which it would do with Python's regular
expressions on the event loop. That is done here, in bounded time.

What an error means is told from HTTP statuses and JSON-RPC codes, never from a server's words.

A server on stdin and stdout leads a process group of its own, gets only a few variables of the
environment besides those the file gives it, and writes its standard error to us alone. It does not
outlive the engine (`engine.workers.children`). A server over HTTP is reached at its own address
only: no proxy, no redirect to another host.
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any, TextIO

import httpx2
import msgspec
from mcp import Client, MCPError, StdioServerParameters, stdio_client
from mcp.client.streamable_http import streamable_http_client
from mcp.types import (
    CONNECTION_CLOSED,
    HEADER_MISMATCH,
    INTERNAL_ERROR,
    INVALID_PARAMS,
    METHOD_NOT_FOUND,
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    PARSE_ERROR,
    REQUEST_TIMEOUT,
    UNSUPPORTED_PROTOCOL_VERSION,
    URL_ELICITATION_REQUIRED,
    Implementation,
)
from pydantic import ValidationError

from engine.errors import Failure
from engine.sema.kinds.mcp_snapshot import Tool
from engine.sema.types.foreign_schema import ForeignSchema
from engine.version import __version__
from engine.workers.children import Held
from engine.workers.mcp_answers import Answer, Block, SessionLost, answer_of
from engine.workers.mcp_wire import (
    ASIDE,
    MAX_EVENT_BYTES,
    HttpAnswers,
    Refusal,
    Watched,
    Wire,
    kind_words,
)
from engine.workers.messages import last_lines
from engine.workers.process import Tail

__all__ = ["Listing", "Place", "Session"]

# What the library has to say is said in failures; its tracebacks belong on no terminal.
logging.getLogger("mcp").addHandler(logging.NullHandler())

#: How long a server may take to be ready, where it has no `timeout`.
_START_S = 30.0
_CONNECT_S = 10.0
_KEEP_STDERR_BYTES = 8_192
#: A list of tools that does not end is not a list.
_MAX_PAGES = 100
#: Statuses below 500 after which the same request may succeed.
_RETRYABLE = (408, 425, 429)
#: JSON-RPC codes that name a fault of the request, so that it is none of the session.
_OTHER_FAULTS = (
    METHOD_NOT_FOUND,
    INVALID_PARAMS,
    INTERNAL_ERROR,
    PARSE_ERROR,
    HEADER_MISMATCH,
    MISSING_REQUIRED_CLIENT_CAPABILITY,
    UNSUPPORTED_PROTOCOL_VERSION,
    URL_ELICITATION_REQUIRED,
)
#: JSON-RPC codes of tools that want something of a person or a model in the middle of a call.
_WANTS_MORE = (MISSING_REQUIRED_CLIENT_CAPABILITY, URL_ELICITATION_REQUIRED)
_WAY_ROUND = "`output_schema = ignore` in the worker leaves the check to its output type"


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


class Listing(msgspec.Struct):
    """What a server offers.

    Attributes:
        tools: By name, in order of names.
        broken: Tools that cannot be called, by name, with what is wrong.
        unchecked: Tools whose answers cannot be checked, likewise.
        end: Why the list ended where it should not have; empty where it did not.
        is_partial: There may be tools that are not in it.
        pages: How many pages of it have been asked for.
    """

    tools: dict[str, Tool] = {}
    broken: dict[str, str] = {}
    unchecked: dict[str, str] = {}
    end: str = ""
    is_partial: bool = False
    pages: int = 0


class Session:
    """One session with one server.

    Attributes:
        listing: What the server offers, once it is ready.
        calls: How many calls are in progress.
    """

    def __init__(self, place: Place) -> None:
        self.listing = Listing()
        self.calls = 0
        self._place = place
        #: The schemas of answers, made ready at the first call, by tool.
        self._promises: dict[str, ForeignSchema] = {}
        self._client: Client | None = None
        self._wire = Wire(over_http=place.url is not None)
        #: Set when the server has gone away, or is to be left.
        self._over = self._wire.ended
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
            if self.listing.pages > 1:
                words += f", at page {self.listing.pages} of its list of tools"
            raise Failure("timeout", words + self._last_words(), retryable=True)
        problem: Failure | None = self._ready.result()
        if problem is not None:
            raise Failure(
                problem.mode,
                problem.message + self._last_words(),
                retryable=problem.retryable,
                retry_after_ms=problem.retry_after_ms,
            )

    async def call(self, tool: str, arguments: Mapping[str, Any], *, check: bool = True) -> Answer:
        """Call a tool.

        Args:
            check: Hold the answer against the schema that the server gives for it.

        Raises:
            Failure: `timeout`; `crashed` where the server went away in the middle, or refuses the
                request; `invalid_output` where its answer breaks the protocol or its own schema.
            SessionLost: The server does not know the session.
        """
        assert self._client is not None
        promise = self._promise(tool) if check else None
        self.calls += 1
        try:
            result = await self._client.call_tool(tool, dict(arguments))
        except MCPError as error:
            return await self._refused(tool, error)
        except (RuntimeError, ValidationError) as error:
            words = f"the answer of tool `{tool}` is not valid: {_protocol_words(error)}"
            raise Failure("invalid_output", words) from None
        finally:
            self.calls -= 1
        raw = _aside(result)
        answer = answer_of(raw)
        if promise is not None and not answer.is_error:
            _check(tool, answer, promise)
        return answer

    async def _refused(self, tool: str, error: MCPError) -> Answer:
        """What an error is: the tool's own, or a failure of the call.

        Raises:
            Failure: As `call`.
            SessionLost: As `call`.
        """
        refusal, name = error.data, self._place.name
        if not isinstance(refusal, Refusal):
            raise await self._lost_answer(tool, error)
        if refusal.is_broken:
            words = f"the answer of tool `{tool}` is not valid: {refusal.message}"
            raise Failure("invalid_output", words)
        if refusal.status is None or refusal.status < 400:
            return _error_answer(refusal)
        failure = _status_failure(refusal, f"server `{name}`")
        if refusal.had_session and (known := _unknown_session(refusal)) is not None:
            wait_ms = failure.retry_after_ms
            again = Failure("crashed", failure.message, retryable=True, retry_after_ms=wait_ms)
            raise SessionLost(again, is_certain=known)
        if refusal.code is not None and refusal.status in (400, 404):
            # The statuses that go with errors of JSON-RPC: the tool's own words.
            return _error_answer(refusal)
        raise failure

    async def _lost_answer(self, tool: str, error: MCPError) -> Failure:
        """The failure that an error of the library's own is: the server did not say it."""
        name = self._place.name
        if self._over.is_set() or _is_closed(error):
            return await self._gone()
        if error.code == CONNECTION_CLOSED:
            words = f"connection lost: server `{name}`: {error.message}"
            return Failure("crashed", words, retryable=True)
        if error.code == REQUEST_TIMEOUT:
            words = f"no answer from server `{name}` in time"
            return Failure("timeout", words, retryable=True)
        if error.code == PARSE_ERROR:
            words = f"the answer of tool `{tool}` is not valid: it is not a JSON-RPC message"
            return Failure("invalid_output", words)
        return Failure("crashed", f"server `{name}`: {error.message}")

    def _promise(self, tool: str) -> ForeignSchema | None:
        """The schema that the server gives for the answers of a tool, if it gives one.

        Raises:
            Failure: `invalid_output`; it cannot be checked. Nothing has been sent.
        """
        if (problem := self.listing.unchecked.get(tool)) is not None:
            words = f"the answers of tool `{tool}` cannot be checked: {problem}"
            raise Failure("invalid_output", f"{words}; {_WAY_ROUND}")
        offered = self.listing.tools.get(tool)
        promised = None if offered is None else offered.output_schema
        if promised is None:
            return None
        if tool not in self._promises:
            try:
                self._promises[tool] = ForeignSchema(promised)
            except ValueError as error:
                words = f"the output schema of tool `{tool}` cannot be checked: {error}"
                raise Failure("invalid_output", f"{words}; {_WAY_ROUND}") from None
        return self._promises[tool]

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
                    Watched(transport, self._wire),
                    read_timeout_seconds=_seconds(self._place.timeout_ms),
                    client_info=Implementation(name="orch", version=__version__),
                    cache=None,
                )
                async with client:
                    await _list(client, self.listing)
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
                transport=HttpAnswers(self._wire, httpx2.AsyncHTTPTransport(trust_env=False)),
                # A stream may be silent for long; calls have the session's own timeout.
                timeout=httpx2.Timeout(None, connect=_CONNECT_S),
            ) as http:
                yield streamable_http_client(
                    place.url, http_client=http, max_sse_event_size=MAX_EVENT_BYTES
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
            case MCPError(data=Refusal() as refusal) if (refusal.status or 0) >= 400:
                return _status_failure(refusal, f"no session with server `{name}`", at_start=True)
            case MCPError() if _is_closed(error) and self._place.url is None:
                words = f"server `{name}` ended before it was ready"
            case httpx2.TransportError() | OSError():
                words = f"cannot reach server `{name}`: {str(error) or type(error).__name__}"
            case _:
                words = f"no session with server `{name}`: {_protocol_words(error)}"
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


async def _list(client: Client, found: Listing) -> None:
    """Ask what a server offers, page by page until there is no other."""
    cursor: str | None = None
    seen: set[str] = set()
    for found.pages in range(1, _MAX_PAGES + 1):
        try:
            page = await client.list_tools(cursor=cursor)
        except MCPError as error:
            if error.code == METHOD_NOT_FOUND:
                break
            raise
        raw = _aside(page)
        listed = {tool.name for tool in page.tools}
        tools = raw.get("tools")
        for tool in tools if isinstance(tools, list) else ():
            _take(found, tool, listed)
        following = raw.get("nextCursor")
        if following is None:
            break
        if not isinstance(following, str) or not following:
            found.end = f"its list of tools ended with the cursor {following!r}"
            break
        if following in seen:
            found.end = f"its list of tools does not move on from the cursor {following[:80]!r}"
            found.is_partial = True
            break
        seen.add(following)
        cursor = following
    else:
        found.end = f"its list of tools has more than {_MAX_PAGES} pages"
        found.is_partial = True
    found.tools = dict(sorted(found.tools.items()))


def _take(found: Listing, tool: Any, listed: Collection[str]) -> None:
    """Take up one tool, or note what is wrong with it."""
    name = tool.get("name") if isinstance(tool, dict) else None
    if not isinstance(name, str) or not name:
        return  # nothing could call it
    problem = _problem_of(tool)
    if not problem and name not in listed:
        problem = "its arguments for headers (`x-mcp-header`) are not valid"
    if problem:
        found.broken[name] = problem
        found.tools.pop(name, None)
        return
    description, output = tool.get("description"), tool.get("outputSchema")
    found.broken.pop(name, None)
    if output is not None and not isinstance(output, dict):
        found.unchecked[name] = f"its outputSchema is {kind_words(output)}, not an object"
    found.tools[name] = Tool(
        tool["inputSchema"],
        output if isinstance(output, dict) else None,
        description if isinstance(description, str) else None,
        _open_world(tool.get("annotations")),
    )


def _open_world(annotations: Any) -> bool | None:
    """What a tool says of whom it reaches: hints may be missing, or of any type."""
    hint = annotations.get("openWorldHint") if isinstance(annotations, dict) else None
    return hint if isinstance(hint, bool) else None


def _problem_of(tool: Mapping[str, Any]) -> str:
    """Why no call of a tool could be made or understood; empty if one can."""
    schema = tool.get("inputSchema")
    if "inputSchema" not in tool:
        return "it has no inputSchema"
    if not isinstance(schema, dict):
        return f"its inputSchema is {kind_words(schema)}, not an object"
    # A schema without a type, such as a choice of objects, still takes arguments.
    kind = schema.get("type", "object")
    if kind != "object" and not (isinstance(kind, list) and "object" in kind):
        return f"its inputSchema is not for an object: its type is {kind!r}"
    return ""


def _check(tool: str, answer: Answer, promise: ForeignSchema) -> None:
    """Hold an answer against what the server promised of it.

    Raises:
        Failure: `invalid_output`.
    """
    words = f"the answer of tool `{tool}` is not valid: "
    if not answer.has_structured:
        words += "it has an output schema, and there is no structured content"
        raise Failure("invalid_output", f"{words}; {_WAY_ROUND}")
    problems = promise.problems(answer.structured)
    if problems:
        raise Failure("invalid_output", words + "; ".join(problems))


def _aside(result: Any) -> Mapping[str, Any]:
    """A result as the server gave it, which the library has only carried."""
    raw = (result.meta or {}).get(ASIDE)
    return raw if isinstance(raw, dict) else {}


def _error_answer(refusal: Refusal) -> Answer:
    text = refusal.message
    if refusal.code in _WANTS_MORE:
        text = f"the tool asks for what a run cannot give in the middle of a call: {text}"
    details = refusal.data
    if details is None and isinstance(refusal.code, str):
        details = {"code": refusal.code}
    return Answer(
        True, details, blocks=(Block("text", text),) if text else (), status=refusal.status
    )


def _unknown_session(refusal: Refusal) -> bool | None:
    """Whether a refusal says that the session is not known: surely, perhaps, or (None) not.

    The protocol's word for it is 404, whatever the body says. Some servers say 400 or 503, which
    can mean other things as well; with a code that names another fault they do.
    """
    if refusal.status == 404:
        return True
    if refusal.status in (400, 503) and refusal.code not in _OTHER_FAULTS:
        return False
    return None


def _status_failure(refusal: Refusal, what: str, *, at_start: bool = False) -> Failure:
    """The failure that an HTTP status is.

    Args:
        what: What it is about, before the colon.
    """
    status = refusal.status or 0
    words = f"{what}: HTTP {status}"
    if status in (401, 403):
        wrong = "missing or not valid" if status == 401 else "not allowed to do this"
        words += f" (the credentials in `headers` are {wrong})"
    elif at_start and status in (404, 405):
        words += " (nothing serves MCP over streamable HTTP at this address)"
    if refusal.message:
        words += f": {refusal.message}"
    retryable = status >= 500 or status in _RETRYABLE
    wait_ms = refusal.retry_after_ms if retryable else None
    return Failure("crashed", words, retryable=retryable, retry_after_ms=wait_ms)


def _protocol_words(error: BaseException) -> str:
    """Why something is not valid, in words of our own where the library quotes its models."""
    if not isinstance(error, ValidationError):
        return str(error) or type(error).__name__
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = "/".join(str(part) for part in first["loc"]) or "it"
    what = "is missing" if first["type"] == "missing" else "is not what the protocol asks for"
    return f"`{place}` {what}"


def _is_closed(error: MCPError) -> bool:
    """Whether an error of the library's own says that the connection has ended."""
    return error.code == CONNECTION_CLOSED and error.message == "Connection closed"


def _seconds(duration_ms: int | None) -> float | None:
    return None if duration_ms is None else duration_ms / 1000
