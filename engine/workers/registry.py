"""Which kinds of workers there are, and who carries them out.

`llm` and `rules` need nobody here: the machine makes requests to models of the first and judges
the second itself. Other kinds come from packages, by an entry point of the group `orch.workers`
whose name is the kind and whose object is called without arguments for a `WorkerPort`.
"""

from __future__ import annotations

from collections.abc import Iterable
from importlib.util import find_spec
from typing import TYPE_CHECKING, cast

from engine.errors import Failure
from engine.runtime.ports import ClosablePort, WorkerPort
from engine.sema.model import Program
from engine.workers.command import CommandWorker
from engine.workers.mcp import McpWorker
from engine.workers.python import PythonWorker

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = [
    "GROUP",
    "close_port",
    "missing_extra",
    "supported_kinds",
    "unsupported_kinds",
    "worker_port",
]

#: The group of entry points that bring further kinds.
GROUP = "orch.workers"

_OF_THE_MACHINE = frozenset({"human", "llm", "rules"})
_BUILT_IN = frozenset({"python", "command", "http", "mcp"})
#: The package a kind needs besides, and the extra that brings it.
_EXTRAS = {"mcp": ("mcp", "mcp")}


def worker_port(kind: str, program: Program | None = None) -> WorkerPort:
    """A new port for workers and verifiers of one kind; one port serves any number of calls.

    Args:
        program: What is run, for kinds that need to know more of it than one worker: its hosts,
            its MCP servers.

    Raises:
        Failure: `crashed`; nobody here carries out that kind.
    """
    if kind == "python":
        return PythonWorker()
    if kind == "command":
        return CommandWorker(PythonWorker())
    if kind == "http":
        # It needs httpx, which takes 110 ms to import.
        from engine.workers.http import HttpWorker

        workers = program.workers.values() if program is not None else ()
        return HttpWorker(host for it in workers for host in it.settings.get("hosts") or ())
    if kind == "mcp":
        return McpWorker(program.servers if program is not None else {})
    for entry in _entry_points():
        if entry.name == kind:
            return cast(WorkerPort, entry.load()())
    raise Failure("crashed", f"workers of kind {kind} are not built into this version")


async def close_port(port: WorkerPort) -> None:
    """Let a port give back what it holds, if it holds anything.

    Raises:
        Failure: A finding about a run that is over, such as a changed schema.
    """
    if isinstance(port, ClosablePort):
        await port.close()


def missing_extra(kind: str) -> str | None:
    """The extra of this package that a kind needs and that is not installed."""
    if kind in _EXTRAS:
        package, extra = _EXTRAS[kind]
        if find_spec(package) is None:
            return extra
    return None


def supported_kinds() -> frozenset[str]:
    """Every kind of worker and verifier that a run may use."""
    return _OF_THE_MACHINE | _BUILT_IN | {entry.name for entry in _entry_points()}


def unsupported_kinds(kinds: Iterable[str]) -> frozenset[str]:
    """Those of `kinds` that a run cannot carry out, to be refused before the first call."""
    unknown = frozenset(kinds) - _OF_THE_MACHINE - _BUILT_IN
    return unknown - supported_kinds() if unknown else unknown


def _entry_points() -> Iterable[EntryPoint]:
    # 22 ms to import, and needed only for kinds that are not built in.
    from importlib.metadata import entry_points

    return entry_points(group=GROUP)
