"""`via mcp`: a tool of an MCP server does the work."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from engine.diagnostics import Diagnostic
from engine.sema.kinds.common import worker_settings
from engine.sema.kinds.kind import Declared, WorkerKind
from engine.sema.kinds.mcp_calls import check_tool
from engine.sema.model import Facts
from engine.sema.settings.table import Row
from engine.sema.settings.values import Computed, Names, Str
from engine.syntax import ast

__all__ = ["MCP"]

_ROWS = (
    Row("server", Names(("server",), "one"), "The MCP server.", True),
    Row("tool", Str(), "The tool's name there.", True),
    Row("args", Computed(shape="map"), "Its arguments.", otherwise="the inputs"),
)


def _check(it: Declared) -> Iterator[Diagnostic]:
    assert isinstance(it.node, ast.WorkerDecl)
    yield from check_tool(it.node, it.settings, it.inputs, it.names, it.snapshots)


def _facts(settings: Mapping[str, Any]) -> Facts:
    server = settings.get("server")
    return Facts(waits_outside=True, sends_out=True, server=server, talks_to=f"server {server}")


MCP = WorkerKind(
    name="mcp",
    summary="run by a tool of an MCP server",
    worker=(*_ROWS, *worker_settings(effect=None, trust="untrusted")),
    check=_check,
    facts=_facts,
    port="engine.workers.mcp:open_port",
    calls="tool",
    needs=("mcp", "mcp"),
)
