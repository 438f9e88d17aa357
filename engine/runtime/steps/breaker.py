"""The breaker: it stops a worker of steps whose tasks fail in the same way again and again.

It counts the items of steps after their retries, in the order of the journal, by worker. A success
of the worker resets it. Failures that say nothing about the worker (denied, over a budget, an unmet
reference) do not count. Once open, it lets no further item of that worker start; the next decision
closes it. The first items of a step run alone, as canaries: if all of them fail in the same way, it
opens at once.
"""

from __future__ import annotations

from engine.errors import Failure
from engine.runtime.causes import Cause
from engine.runtime.state import Breaker, Loop, Step, Task

__all__ = ["count", "denied", "opened", "probed"]

_SETTING = "policy.breaker"
#: Failures that say nothing about the worker.
_NOT_COUNTED = frozenset({"denied", "over_budget", "unmet_reference"})


def opened(loop: Loop, worker: str) -> Failure | None:
    """Why no item of a worker may start, or None."""
    breaker = loop.breakers.get(worker)
    return None if breaker is None else breaker.open


def count(task: Task) -> None:
    """Take note of how an item has ended."""
    loop, failure = task.loop, task.failure
    if failure is None and not loop.breakers:
        return
    name = task.worker.name
    if failure is None:
        breaker = loop.breakers.get(name)
        if breaker is not None and breaker.open is None:
            breaker.count = 0
        return
    if failure.mode in _NOT_COUNTED:
        return
    breaker = loop.breakers.setdefault(name, Breaker())
    breaker.count = breaker.count + 1 if breaker.mode == failure.mode else 1
    breaker.mode = failure.mode
    after = loop.orchestrator.policy.breaker.after
    if breaker.count >= after and breaker.open is None:
        said = f"breaker: {breaker.count} tasks of `{name}` in a row failed with `{failure.mode}`"
        breaker.open = _denied(loop, said)


def probed(step: Step) -> None:
    """Open the breaker if the canaries of a step have all failed in the same way."""
    assert step.worker is not None
    modes = {None if task.failure is None else task.failure.mode for task in step.items.values()}
    mode = next(iter(modes), None)
    if len(modes) != 1 or mode is None or mode in _NOT_COUNTED:
        return
    loop, name = step.loop, step.worker.name
    breaker = loop.breakers.setdefault(name, Breaker())
    if breaker.open is None:
        n = len(step.items)
        first = "the first item" if n == 1 else f"the first {n} items"
        breaker.open = _denied(loop, f"breaker: {first} of `{step.id}` failed with `{mode}`")


def denied(failure: Failure) -> bool:
    """Whether the breaker kept something from starting."""
    cause = failure.cause
    return isinstance(cause, Cause) and cause.setting == _SETTING


def _denied(loop: Loop, said: str) -> Failure:
    return Failure("denied", said, cause=Cause(loop.orchestrator, _SETTING))
