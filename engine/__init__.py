"""orch: a declarative workflow engine for the orchestrator-workers pattern.

The names below are the public face. They are loaded when they are first used, so that
`import engine` costs next to nothing and the linter never pays for the runtime.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.version import __version__

if TYPE_CHECKING:
    from engine.api import Reply, Run, Workflow, aresume, lint, load, resume
    from engine.diagnostics import Diagnostic
    from engine.errors import (
        CompileError,
        Failure,
        InputError,
        InternalError,
        JournalError,
        OrchError,
        UnreadableFile,
        UsageError,
    )
    from engine.formatter.formatting import format_text
    from engine.journal import MemoryJournal, SqliteJournal
    from engine.models.scripted import Scripted
    from engine.runtime.ports import PolicyState
    from engine.testing import arun_tests, run_tests

__all__ = [
    "CompileError",
    "Diagnostic",
    "Failure",
    "InputError",
    "InternalError",
    "JournalError",
    "MemoryJournal",
    "OrchError",
    "PolicyState",
    "Reply",
    "Run",
    "Scripted",
    "SqliteJournal",
    "UnreadableFile",
    "UsageError",
    "Workflow",
    "__version__",
    "aresume",
    "arun_tests",
    "format_text",
    "lint",
    "load",
    "resume",
    "run_tests",
]

_HOMES = {
    "Diagnostic": "engine.diagnostics",
    "MemoryJournal": "engine.journal",
    "PolicyState": "engine.runtime.ports",
    "Scripted": "engine.models.scripted",
    "SqliteJournal": "engine.journal",
    "format_text": "engine.formatter.formatting",
    **dict.fromkeys(("arun_tests", "run_tests"), "engine.testing"),
    **dict.fromkeys(
        ("Reply", "Run", "Workflow", "aresume", "lint", "load", "resume"), "engine.api"
    ),
    **dict.fromkeys(
        (
            "CompileError",
            "Failure",
            "InputError",
            "InternalError",
            "JournalError",
            "OrchError",
            "UnreadableFile",
            "UsageError",
        ),
        "engine.errors",
    ),
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(
            f"module 'engine' has no attribute {name!r} (it is orch's, {__file__}; "
            "a module of your own needs another name)"
        )
    from engine.own import own_module

    value = getattr(own_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
