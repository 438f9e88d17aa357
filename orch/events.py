"""The events of a run, as `Workflow.stream` and `RunHandle.events` give them.

`Event` is the union of all of them; docs/reference/events.md describes each.
"""

from engine.events import (
    CallFailed,
    CallFinished,
    CallLost,
    CallStarted,
    CancelRequested,
    Event,
    GateAnswered,
    GateOpened,
    HeldTask,
    ModelInfo,
    NoteGiven,
    RunEnded,
    RunForked,
    RunInterrupted,
    RunResumed,
    RunRetried,
    RunStarted,
    TaskClosed,
    TimerFired,
    Usage,
)

__all__ = [
    "CallFailed",
    "CallFinished",
    "CallLost",
    "CallStarted",
    "CancelRequested",
    "Event",
    "GateAnswered",
    "GateOpened",
    "HeldTask",
    "ModelInfo",
    "NoteGiven",
    "RunEnded",
    "RunForked",
    "RunInterrupted",
    "RunResumed",
    "RunRetried",
    "RunStarted",
    "TaskClosed",
    "TimerFired",
    "Usage",
]
