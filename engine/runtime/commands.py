"""The commands of the machine to a driver: a closed union of small records.

A command is a request, not a fact. It becomes a fact when the driver journals the event that
answers it. After a crash, a command without an answer is found again in the folded state
(`RunState.open_commands`), so commands are never stored.
"""

from __future__ import annotations

import msgspec

from engine.events import RunStatus
from engine.runtime.ports import ModelRequest, WorkerRequest

__all__ = ["CancelCalls", "Command", "EndRun", "OpenGate", "SetTimer", "StartCall"]


class StartCall(msgspec.Struct, frozen=True):
    """Make one attempt of a call, `delay_ms` from now.

    The driver journals `CallStarted` before it touches the outside, and answers with
    `CallFinished` or `CallFailed` of the same key and attempt.
    """

    key: str
    attempt: int
    request: ModelRequest | WorkerRequest
    delay_ms: int = 0


class SetTimer(msgspec.Struct, frozen=True):
    """Feed `TimerFired(timer)` when the run's running time reaches `at` (milliseconds)."""

    timer: str
    at: int


class CancelCalls(msgspec.Struct, frozen=True):
    """Stop these calls; what they may still answer is ignored."""

    keys: tuple[str, ...]


class OpenGate(msgspec.Struct, frozen=True):
    """Ask a person. The driver journals `GateOpened` before anybody is shown the question.

    `timeout_ms` counts in wall-clock time from then, or is None; when it has passed the driver
    feeds `GateAnswered(key, "timeout")`.
    """

    key: str
    timeout_ms: int | None = None


class EndRun(msgspec.Struct, frozen=True):
    """Nothing more will be asked for: journal `RunEnded` and stop driving."""

    status: RunStatus
    reason: str = ""
    bound: str | None = None


Command = StartCall | SetTimer | CancelCalls | OpenGate | EndRun
