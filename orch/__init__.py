"""The public API of orch: `import orch`.

    import orch

    workflow = orch.load("report.orch")
    run = workflow.run(topic="tides")

Every name is defined in `engine`, which contains the code. Each is loaded when it is first used, so
`import orch` is fast. `orch.events` has the events of runs; `orch.kinds` is for packages that add a
kind of worker.

Type checkers get each name from the module that defines it. Of `engine` itself they might see a
file of the program, and every name would be `Any`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ._own import own

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
    from engine.version import __version__

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

_MODULES = ("events", "kinds")


if not TYPE_CHECKING:  # with it, a type checker would take any name for one of these
    engine = own("engine")

    def __getattr__(name):
        if name in __all__:
            return getattr(engine, name)
        if name in _MODULES:
            # Only where it is used: `orch.kinds` imports what the checker needs.
            from importlib import import_module

            return import_module(f"orch.{name}")
        raise AttributeError(f"module 'orch' has no attribute {name!r}")


def __dir__() -> list[str]:
    return [*__all__, *_MODULES]
