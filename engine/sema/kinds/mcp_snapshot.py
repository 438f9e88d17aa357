"""Snapshots of the tools of MCP servers: what a file's servers offered when someone looked.

`triage.orch` has its snapshot next to it, in `triage.mcp.json`: for each server that the file
declares, each tool with its schemas. The checker reads it, so that calls are checked offline; a
run compares it with what the server offers then. This module reads, writes and compares
snapshots; it talks to no server. The same tools always give the same text.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import msgspec

__all__ = ["Servers", "Tool", "differences", "read_snapshot", "snapshot_path", "write_snapshot"]

_EDITION = 1


class Tool(msgspec.Struct, frozen=True, rename="camel", omit_defaults=True):
    """A tool as its server describes it; schemas are JSON Schema.

    Attributes:
        open_world_hint: Whether the tool reaches others than the server itself; None where the
            server does not say so.
    """

    input_schema: dict[str, Any] = {}
    output_schema: dict[str, Any] | None = None
    description: str | None = None
    open_world_hint: bool | None = None


#: Tools by name, by the name of the server in its own file.
Servers = Mapping[str, Mapping[str, Tool]]


class _File(msgspec.Struct):
    edition: int
    servers: dict[str, dict[str, Tool]]


def snapshot_path(path: str) -> str:
    """Where the snapshot of an `.orch` file lies."""
    return path.removesuffix(".orch") + ".mcp.json"


def read_snapshot(text: str) -> Servers:
    """The servers of a snapshot.

    Raises:
        ValueError: It is not a snapshot; the message says why.
    """
    try:
        read = msgspec.json.decode(text, type=_File)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise ValueError(str(error)) from None
    if read.edition != _EDITION:
        raise ValueError(f"edition {read.edition} is not known here")
    return read.servers


def write_snapshot(servers: Servers) -> str:
    """The text of a snapshot."""
    content = {"edition": _EDITION, "servers": msgspec.to_builtins(servers)}
    return json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False) + "\n"


def differences(kept: Mapping[str, Tool], offered: Mapping[str, Tool]) -> list[str]:
    """How what a server offers now differs from what was kept: a sentence for each tool."""
    found: list[str] = []
    for name in sorted({*kept, *offered}):
        old, new = kept.get(name), offered.get(name)
        if old is None:
            found.append(f"tool `{name}` is new")
        elif new is None:
            found.append(f"tool `{name}` is gone")
        else:
            parts = [
                words
                for words, before, after in (
                    ("input schema", old.input_schema, new.input_schema),
                    ("output schema", old.output_schema, new.output_schema),
                    ("description", old.description, new.description),
                    ("reach", old.open_world_hint is True, new.open_world_hint is True),
                )
                if before != after
            ]
            if parts:
                words = " and ".join([", ".join(parts[:-1]), parts[-1]] if parts[1:] else parts)
                found.append(f"tool `{name}` has another {words}")
    return found
