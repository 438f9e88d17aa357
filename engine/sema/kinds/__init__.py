"""Kinds of workers and verifiers: what may follow `via`, one record a kind, one file each.

A record (`WorkerKind`) holds everything that the engine asks of a kind: its settings, its checks,
and the facts that the linter, the machine and the tests need. It also has the sentence that editors
show, and the name of the port that does the work. Nothing outside this folder asks for a kind by
its name.

Installed packages add kinds by an entry point; see `engine.sema.kinds.registry`.
"""

from engine.sema.kinds.kind import Declared, WorkerKind
from engine.sema.kinds.registry import (
    BUILT_IN,
    SERVER_KINDS,
    KindError,
    asked,
    bodies,
    body_of,
    find_kind,
    kind_names,
    usable,
)

__all__ = [
    "BUILT_IN",
    "SERVER_KINDS",
    "Declared",
    "KindError",
    "WorkerKind",
    "asked",
    "bodies",
    "body_of",
    "find_kind",
    "kind_names",
    "usable",
]
