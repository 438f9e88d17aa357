"""`orch mcp`: keep what a file's MCP servers offer, and compare it with what they offer now.

Only servers that are declared in the file itself count; those of an import have their snapshot
next to their own file.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Mapping

import click
import msgspec

from engine.cli import complete
from engine.cli.checked import check_with_params
from engine.cli.exit_codes import CommandError, Exit
from engine.cli.options import format_option, param_option
from engine.cli.output import echo, report, write_result
from engine.errors import Failure
from engine.redaction import current
from engine.sema.kinds.mcp_snapshot import (
    Servers,
    Tool,
    differences,
    read_snapshot,
    snapshot_path,
    write_snapshot,
)
from engine.sema.model import Server
from engine.sema.names.loader import CannotRead, DiskReader
from engine.workers.mcp import offered_tools

__all__ = ["command"]

#: Findings that come from a snapshot, and go away with a new one.
_OF_SNAPSHOTS = ("ORC512", "ORC513", "ORC514")


@click.group("mcp")
def command() -> None:
    """Snapshot the tools of MCP servers, so that calls of tools are checked offline."""


@command.command("snapshot")
@click.argument("file", metavar="FILE", shell_complete=complete.files)
@param_option
def snapshot(file: str, params: dict[str, str]) -> int:
    """Start the servers that FILE declares, and write a snapshot of their tools next to FILE.

    `x.orch` has its snapshot in `x.mcp.json`: keep it in version control. `orch lint` reads it.

    Exit codes: 0 written; 2 usage; 3 the file cannot be read or has errors, or a server
    cannot be reached.
    """
    offered = _offered(file, params)
    path = snapshot_path(file)
    write_result(write_snapshot(offered), path)
    for name, tools in offered.items():
        echo(f"{path}: {name} ({len(tools)} {'tool' if len(tools) == 1 else 'tools'})")
    return Exit.OK


@command.command("check")
@click.argument("file", metavar="FILE", shell_complete=complete.files)
@format_option("How to show the differences.")
@param_option
def check(file: str, style: str, params: dict[str, str]) -> int:
    """Compare the tools of FILE's servers with the snapshot next to FILE.

    Exit codes: 0 nothing has changed; 1 something has; 2 usage; 3 the file or its snapshot cannot
    be read, or a server cannot be reached.
    """
    kept = _kept(file)
    offered = _offered(file, params)
    found: list[dict[str, str]] = []
    for name in sorted({*kept, *offered}):
        if name not in offered:
            changes = ["it is not declared any more"]
        elif name not in kept:
            changes = ["its tools were not kept"]
        else:
            changes = differences(kept[name], offered[name])
        found += [{"server": name, "change": change} for change in changes]
    if style == "json":
        echo(json.dumps(found, indent=2))
    else:
        for item in found:
            echo(f"server `{item['server']}`: {item['change']}")
    return Exit.FINDINGS if found else Exit.OK


def _kept(file: str) -> Servers:
    path = snapshot_path(file)
    again = f"make it with `orch mcp snapshot {file}`"
    try:
        return read_snapshot(DiskReader().read(os.path.abspath(path)))
    except CannotRead as problem:
        message = f"cannot read {path}: it {problem.reason}"
        raise CommandError(message, Exit.UNREADABLE, help=problem.help or again) from None
    except ValueError as problem:
        message = f"cannot read {path}: {problem}"
        raise CommandError(message, Exit.UNREADABLE, help=again) from None


def _offered(file: str, params: dict[str, str]) -> Servers:
    """The tools that the servers of a file offer, as far as the file allows them."""
    checked = check_with_params(file, params)
    wrong = [
        item
        for item in checked.diagnostics
        if item.severity == "error" and item.code not in _OF_SNAPSHOTS
    ]
    if wrong:
        report(wrong)
        raise click.exceptions.Exit(Exit.UNREADABLE)
    program = checked.partial
    here = checked.scopes.entry.module.source
    servers = [server for server in program.servers.values() if server.span.source is here]
    if not servers:
        raise CommandError(f"{file} declares no MCP server", Exit.USAGE)
    secrets = {name: os.environ[name] for name in program.secrets if os.environ.get(name)}
    try:
        return asyncio.run(_ask(servers, secrets))
    except Failure as failure:
        raise CommandError(failure.message, Exit.UNREADABLE) from None


async def _ask(servers: list[Server], secrets: Mapping[str, str]) -> dict[str, dict[str, Tool]]:
    found: dict[str, dict[str, Tool]] = {}
    for server in servers:
        tools = await offered_tools(server, secrets)
        # What a server says of itself is written into a file that goes into version control.
        clean = current().value(msgspec.to_builtins(tools))
        tools = msgspec.convert(clean, dict[str, Tool])
        allowed = server.settings.get("allow")
        found[server.name] = {
            name: tool for name, tool in tools.items() if allowed is None or name in allowed
        }
    return found
