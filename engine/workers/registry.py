"""From a kind to the port that does its work.

The records of kinds are in `engine.sema.kinds`; each names its port, which is imported here when a
run needs it. `llm`, `rules` and `human` have none: the machine asks models and people itself.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from typing import cast

from engine.errors import Failure
from engine.own import own_module
from engine.runtime.ports import ClosablePort, WorkerPort
from engine.sema.kinds import BUILT_IN, KindError, find_kind, usable
from engine.sema.model import Program

__all__ = ["close_port", "missing_extra", "port_problem", "worker_port"]


def worker_port(kind: str, program: Program | None = None) -> WorkerPort:
    """A new port for workers and verifiers of one kind; one port serves any number of calls.

    Args:
        program: What is run, for kinds that need to know more of it than one worker: its hosts,
            its MCP servers.

    Raises:
        Failure: `crashed`; nothing here runs that kind, or its port cannot be imported.
    """
    try:
        known = find_kind(kind)
    except KindError as error:
        raise Failure("crashed", f"{error}; {error.help}") from None
    if known is None or known.port is None:
        raise Failure("crashed", f"workers of kind `{kind}` are not built into this version")
    try:
        return cast(WorkerPort, _opener(known.port)(program))
    except Exception as error:
        raise Failure(
            "crashed",
            f"the port of the kind `{kind}` ({known.port}) cannot be opened: "
            f"{type(error).__name__}: {error}",
        ) from error


async def close_port(port: WorkerPort) -> None:
    """Let a port return what it holds, if it holds anything.

    Raises:
        Failure: A finding about a run that is over, such as a changed schema.
    """
    if isinstance(port, ClosablePort):
        await port.close()


def missing_extra(kind: str) -> str | None:
    """The extra of this package that a kind needs and that is not installed."""
    known = usable(kind)
    if known is None or known.needs is None:
        return None
    package, extra = known.needs
    return extra if find_spec(package) is None else None


def port_problem(kind: str) -> str | None:
    """Why nothing here can do the work of a kind, or None; imports the ports of other packages."""
    known = usable(kind)
    if known is None:
        return "which this version does not support"
    if known.port is not None and kind not in BUILT_IN:
        try:
            _opener(known.port)
        except Exception as error:
            return f"whose port {known.port} cannot be imported: {type(error).__name__}: {error}"
    return None


def _opener(port: str) -> Callable[[Program | None], object]:
    module, _, name = port.partition(":")
    load = own_module if module.startswith("engine.") else import_module
    opener: Callable[[Program | None], object] = getattr(load(module), name)
    return opener
