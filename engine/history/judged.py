"""Events as the run took them: a value that does not keep its contract is a failure.

A `CallFinished` says what came back. Whether that was accepted is computed by folding the events,
so whoever counts results reads them through a `Judge`. It changes no journal. Where this version
cannot compile the program of a run, its events are given as they are.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence

from engine.drive.loading import compile_record
from engine.errors import CompileError
from engine.events import CallFailed, CallFinished, Event, RunStarted
from engine.journal import RunRecord
from engine.runtime.machine import known_models, step
from engine.runtime.state import Call, RunState

__all__ = ["Judge", "judged"]


class Judge:
    """Follows a run event by event.

    Args:
        record: The run, with its present program.
        events: What is known of its journal: models that it was given later are known from these.

    Attributes:
        state: The state after the events so far; None if the program cannot be compiled.
        call: The call that the last event was about, or None.
    """

    def __init__(self, record: RunRecord, events: Sequence[Event]) -> None:
        self.state: RunState | None = None
        self.call: Call | None = None
        self._start = known_models(events)[0] if events else None
        with contextlib.suppress(CompileError):
            self.state = RunState(compile_record(record))

    def take(self, event: Event) -> Event:
        """Fold an event.

        Returns:
            The event, or a `CallFailed` with mode `invalid_output` where its value was refused.
        """
        if self.state is None:
            return event
        key = getattr(event, "key", "")
        self.call = self.state.calls.get(key)
        begins = isinstance(event, RunStarted)
        step(self.state, (self._start or event) if begins else event)
        self.call = self.call or self.state.calls.get(key)
        refused = "" if self.call is None else self.call.refused
        if not isinstance(event, CallFinished) or not refused:
            return event
        return CallFailed(
            at=event.at,
            key=event.key,
            attempt=event.attempt,
            mode="invalid_output",
            message=refused,
            ms=event.ms,
        )


def judged(record: RunRecord, events: Sequence[Event]) -> list[Event]:
    """All events of a run, as `Judge.take` gives them."""
    judge = Judge(record, events)
    return [judge.take(event) for event in events]
