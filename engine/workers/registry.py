"""Which kinds of workers there are, and who carries them out.

`llm` and `rules` need nobody here: the machine makes requests to models of the first and judges
the second itself. Other kinds come from packages, by an entry point of the group `orch.workers`
whose name is the kind and whose object is called without arguments for a `WorkerPort`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, cast

from engine.errors import Failure
from engine.runtime.ports import WorkerPort
from engine.workers.command import CommandWorker
from engine.workers.python import PythonWorker

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["GROUP", "supported_kinds", "unsupported_kinds", "worker_port"]

#: The group of entry points that bring further kinds.
GROUP = "orch.workers"

_OF_THE_MACHINE = frozenset({"human", "llm", "rules"})
_BUILT_IN = frozenset({"python", "command"})


def worker_port(kind: str) -> WorkerPort:
    """A new port for workers and verifiers of one kind; one port serves any number of calls.

    Raises:
        Failure: `crashed`; nobody here carries out that kind.
    """
    if kind == "python":
        return PythonWorker()
    if kind == "command":
        return CommandWorker(PythonWorker())
    for entry in _entry_points():
        if entry.name == kind:
            return cast(WorkerPort, entry.load()())
    raise Failure("crashed", f"workers of kind {kind} are not built into this version")


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
