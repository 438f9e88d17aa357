"""The bounds on the tasks that steps become: `max_items`, `max_dispatches`, `limit`.

They are counted before anything starts. What does not fit fails whole, as `over_budget`, where its
number is known; where values flow in one after the other, what has started is finished.
"""

from __future__ import annotations

from collections.abc import Iterator

from engine.errors import Failure
from engine.runtime.causes import Cause
from engine.runtime.state import Frame, Loop, Step
from engine.sema.model import Worker

__all__ = ["give_back", "take", "take_tasks"]


def take(loop: Loop, frame: Frame | None, worker: str | None, number: int) -> Failure | None:
    """Count `number` more tasks of a worker.

    Returns:
        The bound that is in the way, and then nothing is counted; None if all of them fit.
    """
    policy = loop.orchestrator.policy
    current = loop.current
    if policy.max_items is not None and current.items + number > policy.max_items:
        return _over(loop, number, policy.max_items - current.items, "max_items")
    for at in _out(frame):
        failure = _over_plan(at, number)
        if failure is not None:
            return failure
    if policy.max_dispatches is not None and loop.dispatches + number > policy.max_dispatches:
        return _over(loop, number, policy.max_dispatches - loop.dispatches, "max_dispatches")
    if worker is not None:
        used = loop.worker_dispatches.get(worker, 0)
        limit = loop.orchestrator.limits.get(worker)
        most = limit.max_dispatches if limit is not None else None
        if most is not None and used + number > most:
            said = _words(number, most - used, f"`limit {worker} {{ max_dispatches = {most} }}`")
            return Failure("over_budget", said, cause=Cause(limit, "max_dispatches"))  # type: ignore[arg-type]
        loop.worker_dispatches[worker] = used + number
    loop.dispatches += number
    current.items += number
    for at in _out(frame):
        at.made += number
    return None


def _over_plan(frame: Frame, number: int) -> Failure | None:
    """What is said where the plan that a frame is the run of allows no more tasks."""
    worker = getattr(frame.owner, "worker", None)
    if frame.outer is not None or not isinstance(worker, Worker) or worker.plan is None:
        return None  # a pass, which its plan bounds
    most = worker.plan.max_items
    if frame.made + number <= most:
        return None
    said = _words(number, most - frame.made, f"`max_items = {most}` of plan `{worker.name}`")
    return Failure("over_budget", said, cause=Cause(worker, "max_items"))


def _over(loop: Loop, number: int, left: int, bound: str) -> Failure:
    most = getattr(loop.orchestrator.policy, bound)
    said = _words(number, left, f"`{bound} = {most}`")
    return Failure("over_budget", said, cause=Cause(loop.orchestrator, f"policy.{bound}"))


def _words(number: int, left: int, bound: str) -> str:
    more = "one more task" if number == 1 else f"{number} more tasks"
    return f"{more} would be needed, and {max(0, left)} are left of {bound}"


def give_back(step: Step) -> None:
    """Count the tasks of a step no more that begins from its front."""
    loop, number = step.loop, step.allowed
    if step.worker is not None and number:
        loop.worker_dispatches[step.worker.name] -= number
    loop.dispatches -= number
    loop.current.items -= number
    for at in _out(step.frame):
        at.made -= number
    step.allowed = 0


def take_tasks(loop: Loop, frame: Frame | None, workers: list[str]) -> Failure | None:
    """Count plain tasks of a plan or a pass; all of them or none."""
    before = (loop.current.items, loop.dispatches, dict(loop.worker_dispatches))
    made = [(at, at.made) for at in _out(frame)]
    for worker in workers:
        failure = take(loop, frame, worker, 1)
        if failure is not None:
            loop.current.items, loop.dispatches, loop.worker_dispatches = before
            for at, number in made:
                at.made = number
            return failure
    return None


def _out(frame: Frame | None) -> Iterator[Frame]:
    at = frame
    while at is not None:
        yield at
        at = at.outer
