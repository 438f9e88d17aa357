"""`via mcp`: a tool of an MCP server does the work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from engine.diagnostics import Diagnostic
from engine.sema.expressions.compiler import Expression
from engine.sema.kinds.common import worker_settings
from engine.sema.kinds.kind import Declared, WorkerKind
from engine.sema.kinds.mcp_calls import check_tool
from engine.sema.model import EVERY_INPUT, Facts
from engine.sema.names.scope import Entity
from engine.sema.settings.table import Row
from engine.sema.settings.values import Choice, Computed, Names, Str
from engine.syntax import ast

__all__ = ["MCP"]

_ROWS = (
    Row("server", Names(("server",), "one"), "The MCP server.", True),
    Row("tool", Str(), "The name of the tool on the server.", True),
    Row("args", Computed(shape="map"), "Its arguments.", otherwise="the inputs"),
    Row(
        "output_schema",
        Choice(("check", "ignore")),
        "Whether to check answers against the server's output schema: `ignore` is for servers "
        "that violate it. The output type is always checked.",
        default="check",
    ),
)


def _check(it: Declared) -> Iterator[Diagnostic]:
    assert isinstance(it.node, ast.WorkerDecl)
    yield from check_tool(it.node, it.settings, it.inputs, it.names, it.snapshots)


def _derived(it: Declared) -> Mapping[str, Any]:
    server, tool = it.settings.get("server"), it.settings.get("tool")
    tools = it.snapshots.tools(server) if isinstance(server, Entity) else None
    known = (tools or {}).get(tool)
    return {"open_world": known is not None and known.open_world_hint is True}


def _facts(settings: Mapping[str, Any]) -> Facts:
    server = settings.get("server")
    args = settings.get("args")
    chosen = tuple(sorted(args.names)) if isinstance(args, Expression) else EVERY_INPUT
    return Facts(
        waits_outside=True,
        sends_out=True,
        server=server,
        talks_to=f"server {server}",
        # The server is in the file, and such a tool says that it reaches others from there.
        address=chosen if settings.get("open_world") else (),
    )


MCP = WorkerKind(
    name="mcp",
    summary="run by a tool of an MCP server",
    worker=(*_ROWS, *worker_settings(effect=None, trust="untrusted")),
    check=_check,
    derived=_derived,
    facts=_facts,
    port="engine.workers.mcp:open_port",
    calls="tool",
    needs=("mcp", "mcp"),
)
