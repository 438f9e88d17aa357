"""orch: a declarative workflow engine for the orchestrator-workers pattern.

The names below are the public face. They are loaded when they are first used, so that
`import engine` costs next to nothing and the linter never pays for the runtime.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from engine.version import __version__

if TYPE_CHECKING:
    from engine.api import (
        Workflow,
        acancel,
        aresume,
        atell,
        cancel,
        gates,
        lint,
        load,
        replay,
        resume,
        runs,
        start_resume,
        tell,
    )
    from engine.diagnostics import Diagnostic
    from engine.drive.answers import Reply
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
    from engine.events import Event
    from engine.formatter.formatting import format_text
    from engine.handle import RunHandle
    from engine.history.changes import Change
    from engine.history.replay import Divergence
    from engine.journal import MemoryJournal, SqliteJournal
    from engine.models.scripted import Scripted
    from engine.records import (
        Gate,
        GateItem,
        Replay,
        Run,
        RunInfo,
        Source,
        StepFailures,
        StepReport,
        TaskReport,
        Usage,
    )
    from engine.runtime.ports import PolicyState
    from engine.testing import arun_tests, run_tests

__all__ = [
    "Change",
    "CompileError",
    "Diagnostic",
    "Divergence",
    "Event",
    "Failure",
    "Gate",
    "GateItem",
    "InputError",
    "InternalError",
    "JournalError",
    "MemoryJournal",
    "OrchError",
    "PolicyState",
    "Replay",
    "Reply",
    "Run",
    "RunHandle",
    "RunInfo",
    "Scripted",
    "Source",
    "SqliteJournal",
    "StepFailures",
    "StepReport",
    "TaskReport",
    "UnreadableFile",
    "Usage",
    "UsageError",
    "Workflow",
    "__version__",
    "acancel",
    "aresume",
    "arun_tests",
    "atell",
    "cancel",
    "format_text",
    "gates",
    "lint",
    "load",
    "replay",
    "resume",
    "run_tests",
    "runs",
    "start_resume",
    "tell",
]

#: Where each name is, by module.
_NAMES = {
    "engine.api": "Workflow acancel aresume atell cancel gates lint load replay resume runs "
    "start_resume tell",
    "engine.diagnostics": "Diagnostic",
    "engine.drive.answers": "Reply",
    "engine.errors": "CompileError Failure InputError InternalError JournalError OrchError "
    "UnreadableFile UsageError",
    "engine.events": "Event",
    "engine.formatter.formatting": "format_text",
    "engine.handle": "RunHandle",
    "engine.history.changes": "Change",
    "engine.history.replay": "Divergence",
    "engine.journal": "MemoryJournal SqliteJournal",
    "engine.models.scripted": "Scripted",
    "engine.records": "Gate GateItem Replay Run RunInfo Source StepFailures StepReport"
    " TaskReport Usage",
    "engine.runtime.ports": "PolicyState",
    "engine.testing": "arun_tests run_tests",
}
_HOMES = {name: home for home, names in _NAMES.items() for name in names.split()}


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
