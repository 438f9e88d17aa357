"""How long to wait before a call is made again, and whether there is time for it.

The wait doubles with each retry, and is at least what the other side asked for. A wait that is
longer than the time that is left, or than the longest wait of a retry, is not begun: the failure
then says how long it would have been. Pure: times are those of the run.
"""

from __future__ import annotations

from engine.errors import Failure
from engine.runtime.state import Call, Loop, RunState
from engine.sema.model import Retry

__all__ = ["delay_of", "no_time"]

#: The longest wait that doubling leads to, in milliseconds.
MAX_BACKOFF_MS = 60_000
#: The longest wait that the other side may ask for.
MAX_ASKED_MS = 10 * 60_000


def delay_of(policy: Retry, retries: int, failure: Failure) -> int:
    """How long to wait before a retry, in milliseconds.

    Args:
        retries: How many retries there were, this one included.
    """
    delay_ms: int = min(policy.backoff_ms * 2 ** (retries - 1), MAX_BACKOFF_MS)
    return max(delay_ms, failure.retry_after_ms or 0)


def no_time(state: RunState, call: Call, failure: Failure, delay_ms: int) -> str:
    """Why a wait is not begun, to be put after the words of the failure; "" where it is."""
    asked = failure.retry_after_ms is not None and failure.retry_after_ms >= delay_ms
    wait = f"{'it asks to wait' if asked else 'the next try is due in'} {_words(delay_ms)}"
    if delay_ms > MAX_ASKED_MS:
        return f"; {wait}, and a retry waits {_words(MAX_ASKED_MS)} at most"
    left_ms = min((_left(state, loop) for loop in call.loop.lineage()), default=delay_ms + 1)
    if left_ms > delay_ms:
        return ""
    return f"; {wait}, and the time budget ends in {_words(max(0, left_ms))}"


def _left(state: RunState, loop: Loop) -> float:
    """The rest of a loop's time, in milliseconds."""
    time_ms = loop.orchestrator.policy.budget.time_ms
    if time_ms is None or loop.started_at is None:
        return float("inf")
    return loop.started_at + time_ms - state.now


def _words(ms: float) -> str:
    for most_ms, unit_ms, unit in ((120_000, 1_000, "s"), (7_200_000, 60_000, "min")):
        if ms < most_ms:
            return f"{ms / unit_ms:.3g} {unit}"
    return f"{ms / 3_600_000:.3g} h"
