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

import msgspec

from engine.errors import Failure
from engine.own import own_module
from engine.runtime.marks import server_mark
from engine.runtime.ports import WorkerReply, WorkerRequest
from engine.runtime.requests import is_text
from engine.sema.kinds.mcp_snapshot import Tool, differences
from engine.sema.model import Program, Server, Worker
from engine.sema.types.contract import Contract
from engine.workers.environment import inherited
from engine.workers.large import off_the_loop, rough_size
from engine.workers.messages import clean, crash_of
from engine.workers.settings import evaluated, evaluated_in, text_of
from engine.workers.threads import DaemonThreads
from engine.workers.values import plain_json

if TYPE_CHECKING:
    from engine.workers.mcp_session import Answer, Place, Session

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
        self._drift: dict[str, str] = {}
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
        arguments = evaluated(request, "args", request.input)
        arguments = plain_json({k: v for k, v in arguments.items() if v is not None})
        try:
            session = await self._reached(server, request)
            self._compare(server, tool, arguments, session.tools)
            answer = await session.call(tool, arguments)
        except Failure as failure:
            raise crash_of(failure, request.scope) from None
        if answer.is_error:
            raise _refusal(answer, request)
        size = rough_size(answer.structured) + sum(map(len, answer.texts))
        value = await off_the_loop(lambda: plain_json(_value(answer, request)), size)
        return WorkerReply(value)

    async def close(self) -> None:
        """End every session.

        Raises:
            Failure: A server has changed since its tools were kept.
        """
        sessions = [*self._left, *self._sessions.values()]
        self._sessions.clear()
        await asyncio.gather(*(session.close() for session in sessions))
        if self._drift:
            raise Failure("crashed", "; ".join(self._drift.values()))

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
        offered: Mapping[str, Tool],
    ) -> None:
        """Refuse a call that the server cannot take any more; note other differences.

        Raises:
            Failure: `crashed`; nothing has been sent.
        """
        kept = None if server.tools is None else server.tools.get(tool)
        now = offered.get(tool)
        if now is None:
            since = " any more" if kept is not None else ""
            raise Failure("crashed", f"server `{server.name}` has no tool `{tool}`{since}")
        if kept is None:
            return
        found = differences({tool: kept}, {tool: now})
        if not found:
            return
        self._drift[f"{server.name} {tool}"] = (
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


async def offered_tools(server: Server, secrets: Mapping[str, str]) -> Mapping[str, Tool]:
    """What a server offers now.

    Raises:
        Failure: It cannot be started or reached.
    """
    scope = {"secret": secrets}
    module = await _session_module()
    session: Session = module.Session(_place(module, server, scope, server_mark("", server.name)))
    try:
        await session.ready()
        return session.tools
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


# ---------------------------------------------------------------- answers


def _refusal(answer: Answer, request: WorkerRequest) -> Failure:
    """The failure that an error of a tool is: a declared mode if it names one, else `crashed`."""
    assert isinstance(request.worker, Worker)
    text = " ".join(part.strip() for part in answer.texts if part.strip())
    details = answer.structured
    if details is None:
        details = _json_or_none(text)
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
    return Failure(mode, clean(text or "the tool says that it failed", request.scope))


def _value(answer: Answer, request: WorkerRequest) -> Any:
    """The worker's output."""
    assert isinstance(request.worker, Worker)
    contract = request.worker.output
    if is_text(contract) and answer.texts:
        return "\n".join(answer.texts)
    if answer.structured is not None:
        return _unwrapped(answer.structured, contract)
    if not answer.texts:
        if answer.others:
            kinds = ", ".join(answer.others)
            raise Failure("invalid_output", f"the tool gave neither data nor text, but: {kinds}")
        return None
    values = [_json_or_none(text) for text in answer.texts]
    if None in values and any(text.strip() != "null" for text in answer.texts):
        words = f"the tool's text is not JSON; it begins with {answer.texts[0][:2_000]!r}"
        raise Failure("invalid_output", clean(words, request.scope, 200))
    return values[0] if len(values) == 1 else values


def _unwrapped(value: Any, contract: Contract) -> Any:
    """Structured content, which is always an object: some servers wrap what is none."""
    is_wrap = isinstance(value, dict) and set(value) == {"result"}
    if is_wrap and not contract.is_valid(value) and contract.is_valid(value["result"]):
        return value["result"]
    return value


def _json_or_none(text: str) -> Any:
    try:
        return msgspec.json.decode(text)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


def open_port(program: Program | None) -> McpWorker:
    """The port of `via mcp`, with the servers of the program."""
    return McpWorker(program.servers if program is not None else {})
