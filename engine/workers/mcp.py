"""Workers `via mcp`: a call of a tool that an MCP server offers.

A server is started when it is first needed, once a run; its session serves any number of calls at
once. One that has gone away is started again for the next call. A call is never repeated here:
whether it may be is the machine's to decide. Only tools that `allow` names are called. The tools of
a server are compared with the snapshot next to the file (`engine.sema.kinds.mcp_snapshot`). A call
that no longer fits is not made; any other difference becomes a warning of the run.

How a server is talked to is in `engine.workers.mcp_session`.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

from engine.errors import Failure
from engine.own import own_module
from engine.runtime.marks import server_mark
from engine.runtime.ports import WorkerReply, WorkerRequest
from engine.sema.kinds.mcp_arguments import needs_null
from engine.sema.kinds.mcp_snapshot import Tool, differences
from engine.sema.model import Program, Server, Worker
from engine.workers.environment import inherited
from engine.workers.large import off_the_loop, rough_size
from engine.workers.mcp_answers import Answer, Output, SessionLost, json_or, output_of
from engine.workers.messages import clean, crash_of
from engine.workers.settings import evaluated, evaluated_in, text_of
from engine.workers.threads import DaemonThreads
from engine.workers.values import plain_json

if TYPE_CHECKING:
    from engine.workers.mcp_session import Listing, Place, Session

__all__ = ["McpWorker", "offered_tools", "open_port"]

#: What the usual libraries for servers put before the words of a tool.
_PREFIX = re.compile(r"^Error (?:executing|calling) tool \S+: ")

_threads = DaemonThreads("orch-import")


class McpWorker:
    """Runs calls of tools; one instance serves any number of calls.

    Args:
        servers: The servers of the program, by name.
    """

    def __init__(self, servers: Mapping[str, Server]) -> None:
        self._servers = servers
        self._sessions: dict[str, Session] = {}
        self._left: list[Session] = []
        self._closing: set[asyncio.Task[None]] = set()
        #: What the run should know, each once, by what it is about.
        self._findings: dict[str, str] = {}
        #: Servers whose status 400 or 503 does not mean a lost session.
        self._firm: set[str] = set()
        self._module: ModuleType | None = None

    async def call(self, request: WorkerRequest) -> WorkerReply:
        """Call the tool.

        Raises:
            Failure: A declared mode that the tool's error names; `denied` for a tool that is not
                allowed; `timeout`; `invalid_output` where the answer cannot be read; `crashed`
                for any other error, and where there is no server.
        """
        settings = request.worker.settings
        server = self._servers[str(settings["server"])]
        tool = str(settings["tool"])
        allowed = server.settings.get("allow")
        if allowed is not None and tool not in allowed:
            words = f"tool `{tool}` is not in `allow` of server `{server.name}`"
            raise Failure("denied", clean(words, request.scope))
        given = evaluated(request, "args", request.input)
        try:
            answer = await self._answer(server, given, request)
        except Failure as failure:
            raise crash_of(failure, request.scope) from None
        if answer.is_error:
            raise _refusal(answer, request)
        size = rough_size(answer.structured) + rough_size(
            [b.record or b.text for b in answer.blocks]
        )
        output = await off_the_loop(lambda: _output(answer, request), size)
        if output.lost:
            kinds = ", ".join(sorted({str(block) for block in output.lost}))
            self._findings[f"{server.name} {tool}"] = (
                f"tool `{tool}` of server `{server.name}` gave more than the output of worker "
                f"`{request.worker.name}` can hold, which was left out: {kinds}"
            )
        return WorkerReply(output.value)

    async def _answer(
        self, server: Server, given: Mapping[str, Any], request: WorkerRequest
    ) -> Answer:
        """What the tool gave; in a new session, once, where the server has lost the old one.

        Raises:
            Failure: As `call`.
        """
        session = await self._reached(server, request)
        try:
            return await self._in_session(session, server, given, request)
        except SessionLost as lost:
            self._leave(server, session)
            if not lost.is_certain and not self._may_repeat(server, request):
                raise lost.failure from None
            first = lost
        try:
            session = await self._reached(server, request)
            return await self._in_session(session, server, given, request)
        except SessionLost as lost:
            self._leave(server, session)
            if not lost.is_certain:
                # The session was not the reason: other calls need not open new ones.
                self._firm.add(server.name)
            raise lost.failure from None
        except Failure:
            if first.is_certain:
                raise
            raise first.failure from None

    async def _in_session(
        self, session: Session, server: Server, given: Mapping[str, Any], request: WorkerRequest
    ) -> Answer:
        """Call the tool in a session.

        Raises:
            Failure: As `call`.
            SessionLost: The server does not know the session.
        """
        listing, tool = session.listing, str(request.worker.settings["tool"])
        if listing.is_partial:
            self._findings[server.name] = f"server `{server.name}`: {listing.end}"
        kept = None if server.tools is None else server.tools.get(tool)
        schema = (kept or listing.tools.get(tool) or Tool()).input_schema
        arguments = _arguments(given, schema)
        self._compare(server, tool, arguments, listing)
        check = request.worker.settings.get("output_schema") != "ignore"
        return await session.call(tool, arguments, check=check)

    def _may_repeat(self, server: Server, request: WorkerRequest) -> bool:
        """Whether a call may be made again after a refusal that may have been about the session."""
        assert isinstance(request.worker, Worker)
        return request.worker.effect in ("pure", "read") and server.name not in self._firm

    def _leave(self, server: Server, session: Session) -> None:
        """Use a session no more; calls that are under way in it may still end."""
        if self._sessions.get(server.name) is session:
            del self._sessions[server.name]
            self._left.append(session)
        if not session.calls and session in self._left:
            self._left.remove(session)
            # Not awaited: the server may take its time, and the call need not wait for that.
            closing = asyncio.create_task(session.close())
            self._closing.add(closing)
            closing.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """End every session.

        Raises:
            Failure: What the run should know: a server that has changed since its tools were kept,
                content that an output could not hold, a list of tools that does not end.
        """
        sessions = [*self._left, *self._sessions.values()]
        self._sessions.clear()
        await asyncio.gather(*self._closing, *(session.close() for session in sessions))
        if self._findings:
            raise Failure("crashed", "; ".join(self._findings.values()))

    async def _reached(self, server: Server, request: WorkerRequest) -> Session:
        """`_session`, whose failures are about the server."""
        try:
            return await self._session(server, request)
        except Failure as failure:
            raise failure.replace(where=failure.where or "server") from None

    async def _session(self, server: Server, request: WorkerRequest) -> Session:
        """The session with a server, ready; a new one where there is none or it was lost."""
        module = self._module
        if module is None:
            module = self._module = await _session_module()
        session = self._sessions.get(server.name)
        if session is None or session.lost:
            if session is not None:
                self._left.append(session)
            mark = server_mark(request.mark, server.name)
            session = module.Session(_place(module, server, request.scope, mark))
            self._sessions[server.name] = session
        await session.ready()
        return session

    def _compare(
        self,
        server: Server,
        tool: str,
        arguments: Mapping[str, Any],
        offered: Listing,
    ) -> None:
        """Refuse a call that the server cannot take any more; note other differences.

        Raises:
            Failure: `crashed`; nothing has been sent.
        """
        kept = None if server.tools is None else server.tools.get(tool)
        now = offered.tools.get(tool)
        if now is None and tool in offered.broken:
            words = f"tool `{tool}` of server `{server.name}` breaks the protocol"
            raise Failure("crashed", f"{words}: {offered.broken[tool]}")
        if now is None:
            since = " any more" if kept is not None else ""
            end = f" ({offered.end})" if offered.end else ""
            raise Failure("crashed", f"server `{server.name}` has no tool `{tool}`{since}{end}")
        if kept is None:
            return
        found = differences({tool: kept}, {tool: now})
        if not found:
            return
        self._findings[f"{server.name} {tool} changed"] = (
            f"server `{server.name}` has changed since its tools were kept: {found[0]}"
        )
        if kept.input_schema != now.input_schema and _problems(kept, arguments) == []:
            problems = _problems(now, arguments)
            if problems:
                words = "; ".join(problems)
                raise Failure(
                    "crashed",
                    f"tool `{tool}` of server `{server.name}` takes other arguments than when its "
                    f"tools were kept: {words}",
                )


async def offered_tools(
    server: Server, secrets: Mapping[str, str]
) -> tuple[Mapping[str, Tool], Mapping[str, str]]:
    """What a server offers now, and what is wrong with the tools that cannot be called, by name.

    Raises:
        Failure: It cannot be started or reached.
    """
    scope = {"secret": secrets}
    module = await _session_module()
    session: Session = module.Session(_place(module, server, scope, server_mark("", server.name)))
    try:
        await session.ready()
        return session.listing.tools, session.listing.broken
    except Failure as failure:
        raise crash_of(failure, scope) from None
    finally:
        await session.close()


async def _session_module() -> ModuleType:
    """`engine.workers.mcp_session`, imported not on the event loop."""
    try:
        return await _threads.run(lambda: own_module("engine.workers.mcp_session"))
    except ModuleNotFoundError as error:
        words = f"MCP needs an extra: pip install 'orch-engine[mcp]' ({error})"
        raise Failure("crashed", words) from None


def _place(module: ModuleType, server: Server, scope: Mapping[str, Any], mark: str) -> Place:
    settings = server.settings
    place: Place = module.Place(
        name=server.name,
        command=tuple(settings.get("command") or ()),
        env=_environment(settings, scope),
        cwd=os.path.normpath(os.path.join(server.base_dir, settings.get("cwd") or ".")),
        url=settings.get("url"),
        headers=_texts(settings, "headers", scope),
        timeout_ms=settings.get("timeout"),
        mark=mark,
    )
    return place


def _environment(settings: Mapping[str, Any], scope: Mapping[str, Any]) -> dict[str, str]:
    """What a server gets besides the few variables that every server gets."""
    names = settings.get("inherit") or ()
    environment = inherited(names, scope.get("secret") or {}) if names else {}
    taken = evaluated_in(settings, "env", scope) or {}
    environment = {k: v for k, v in environment.items() if taken.get(k, v) is not None}
    return {**environment, **_texts(settings, "env", scope)}


def _texts(settings: Mapping[str, Any], name: str, scope: Mapping[str, Any]) -> dict[str, str]:
    values = evaluated_in(settings, name, scope) or {}
    return {k: text_of(v, f"{name}.{k}") for k, v in values.items() if v is not None}


def _problems(tool: Tool, arguments: Mapping[str, Any]) -> list[str] | None:
    """Why arguments do not fit a tool; None where its schema is none that could tell."""
    # 40 ms to import, and only a server that has changed needs it.
    from engine.sema.types.foreign_schema import ForeignSchema

    try:
        return ForeignSchema(tool.input_schema).problems(dict(arguments))
    except ValueError:  # the server may judge the arguments itself
        return None


def _arguments(given: Mapping[str, Any], schema: Mapping[str, Any]) -> dict[str, Any]:
    """What goes to the tool: a null goes along only where the tool needs it."""
    kept = {k: v for k, v in given.items() if v is not None or needs_null(schema, k)}
    arguments: dict[str, Any] = plain_json(kept)
    return arguments


# ---------------------------------------------------------------- answers


def _refusal(answer: Answer, request: WorkerRequest) -> Failure:
    """The failure that an error of a tool is: a declared mode if it names one, else `crashed`."""
    assert isinstance(request.worker, Worker)
    text = " ".join(part.strip() for part in answer.texts if part.strip())
    details = answer.structured
    if details is None:
        details = json_or(text, None)
    names: list[Any] = []
    if isinstance(details, dict):
        inner = details.get("error")
        for level in (details, inner if isinstance(inner, dict) else {}):
            names += [level.get("code"), level.get("error"), level.get("mode")]
            text = level["message"] if isinstance(level.get("message"), str) else text
    text = _PREFIX.sub("", text)
    first = re.match(r"[A-Za-z_][A-Za-z0-9_]*", text)
    names.append(first.group() if first else None)
    mode = next((name for name in names if name in request.worker.fails), "crashed")
    text = text or "the tool says that it failed"
    if answer.status is not None and answer.status >= 400 and mode == "crashed":
        text = f"HTTP {answer.status}: {text}"
    return Failure(mode, clean(text, request.scope))


def _output(answer: Answer, request: WorkerRequest) -> Output:
    """The worker's output, in plain JSON.

    Raises:
        Failure: `invalid_output`.
    """
    assert isinstance(request.worker, Worker)
    try:
        output = output_of(answer, request.worker.output)
    except Failure as failure:
        raise crash_of(failure, request.scope) from None
    return Output(plain_json(output.value), output.lost)


def open_port(program: Program | None) -> McpWorker:
    """The port of `via mcp`, with the servers of the program."""
    return McpWorker(program.servers if program is not None else {})
