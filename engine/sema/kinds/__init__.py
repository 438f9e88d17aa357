"""Kinds of workers and verifiers: what may follow `via`, one record and one file per kind.

A record (`WorkerKind`) contains everything that the engine needs to know about a kind: its
settings, its checks, and facts for the linter, the machine and the tests. It also has the sentence
that editors show, and the name of the port that does the work. Nothing outside this folder looks up
a kind by its name.

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
