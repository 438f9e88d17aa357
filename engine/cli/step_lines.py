"""How steps are told while a run is active: a few lines each, however many items they have.

A step is a line when it starts, one each time another tenth of its items is over, and one at its
end. Of its failures, the first of each mode is told when it happens; the last line counts them by
mode. Items have no lines of their own, and neither has what happens inside them, unless the step
has only a few.

The cost per event does not depend on the number of items; only the last line looks at all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from engine.cli.format_values import duration, one_line
from engine.runtime.state import Call, Check, Loop, Step, Task
from engine.runtime.steps.summary import FailureKind, counts_of, failures_of, kind
from engine.runtime.task_paths import path_in_loop
from engine.runtime.views import counts_record, failure_record
from engine.sema.plans.steps import RepeatStep

__all__ = [
    "Progress",
    "StepTeller",
    "around",
    "counts_text",
    "entry_path",
    "failures_text",
    "is_quiet",
    "step_name",
]

#: A step with more items than this is told without what happens inside its items.
_FEW = 10
#: A line of progress is told each time so many percent more of the items are over.
_PERCENT = 10


def entry_path(entry: Task | Step) -> str:
    """The id of a task or step, after those of the tasks it is nested in: `a2/b1`, `a2/r[3]`."""
    above = [path_in_loop(loop.task) for loop in entry.loop.lineage() if loop.task is not None]
    return "/".join([*reversed(above), path_in_loop(entry)])


def step_name(step: Step) -> str:
    """A step's path and its worker."""
    worker = "" if step.worker is None else f" {step.worker.name}"
    return f"{entry_path(step)}{worker}"


def counts_text(kind: str, counts: Mapping[str, Any]) -> str:
    """`25 of 30 done, 3 failed, 2 not started`, from `counts_record`."""
    total = counts["total"]
    if not total:
        return "nothing to do"
    if kind == "repeat":
        return f"{total} pass" if total == 1 else f"{total} passes"
    so_far = "" if counts["known"] else " so far"
    words = [f"{counts['done']} of {total}{so_far} done"]
    failed = counts["failed"] - counts["not_started"]
    for number, word in (
        (failed, "failed"),
        (counts["not_started"], "not started"),
        (counts["skipped"], "skipped"),
        (counts["running"], "running"),
        (counts["waiting"], "waiting"),
    ):
        if number:
            words.append(f"{number} {word}")
    return ", ".join(words)


def failures_text(failures: Iterable[Mapping[str, Any]]) -> str:
    """`crashed 3, timeout 1`, from `failure_record`s."""
    return ", ".join(f"{one['mode']} {one['count']}" for one in failures)


def around(subject: Loop | Task | Check) -> list[tuple[Step, Task]]:
    """The steps that something happens in, outermost first, each with the item it is in."""
    if isinstance(subject, Check):
        run = subject.hook_run
        subject = run.loop if run.task is None else run.task
    found: list[tuple[Step, Task]] = []
    task = subject if isinstance(subject, Task) else subject.task
    while task is not None:
        if task.step is not None:
            found.append((task.step, task))
        frame = task.frame
        while frame is not None and frame.outer is not None:
            frame = frame.outer
        owner = None if frame is None else frame.owner
        task = owner if isinstance(owner, Task) else task.loop.task
    return found[::-1]


def is_quiet(subject: Loop | Task | Check) -> bool:
    """Whether something is an item of a step or a check of one, or is inside one of many items."""
    task = subject.hook_run.task if isinstance(subject, Check) else subject
    if isinstance(task, Task) and task.step is not None:
        return True
    return any(_total(step) > _FEW for step, _ in around(subject))


def _total(step: Step) -> int:
    """How many items a step has so far; in one look."""
    if isinstance(step.spec, RepeatStep):
        return len(step.passes)
    return max(step.allowed, len(step.items) + len(step.pending) + len(step.dropped))


class Progress:
    """How far a step has come, and which of it has been told."""

    __slots__ = ("failed", "modes", "percent", "step")

    def __init__(self, step: Step) -> None:
        self.step = step
        self.percent = 0
        self.failed = 0
        self.modes: set[str] = set()

    @property
    def over(self) -> int:
        """How many items are over; in one look."""
        return len(self.step.items) - self.step.open

    @property
    def total(self) -> int:
        """How many items there are so far; in one look."""
        return _total(self.step)

    @property
    def known(self) -> bool:
        """Whether no more come."""
        return all(flow.over for flow in self.step.sources)


class StepTeller:
    """Tells the steps of a run.

    Args:
        say: Takes the loop that a line is about, the line, and whether something went wrong.
        progress: Whether to tell starts and progress, or only failures and ends.

    Attributes:
        running: The steps that are under way and are shown, in the order of their starts.
        failed: How many items have failed, in all steps.
    """

    def __init__(self, say: Callable[[Loop, str, bool], None], *, progress: bool) -> None:
        self._say = say
        self._progress = progress
        self._ended: dict[int, Step] = {}
        self._running: dict[int, Progress] = {}
        self._failures: set[int] = set()
        self.failed = 0

    @property
    def running(self) -> list[Progress]:
        """How far the steps have come that are under way."""
        return list(self._running.values())

    def happened(self, call: Call) -> None:
        """Something has happened to a call: tell what that means for the steps it is in."""
        for step, item in around(call.subject):
            self._look(step, item)
            if _total(step) > _FEW:
                return

    def _look(self, step: Step, item: Task) -> None:
        if id(step) in self._ended:
            return
        told = self._running.get(id(step))
        if told is None:
            told = self._running[id(step)] = Progress(step)
            if self._progress:
                total = told.total
                more = "" if told.known else " so far"
                self._say(
                    step.loop, f"{step_name(step)}: started, {_amount(step, total)}{more}", False
                )
        if item.failure is not None and id(item) not in self._failures:
            self._failures.add(id(item))
            self._item_failed(told, item)
        if step.over:
            self.ended(step)
        elif self._progress and told.known:
            percent = told.over * 100 // max(1, told.total)
            if percent >= told.percent + _PERCENT and told.over < told.total:
                told.percent = percent - percent % _PERCENT
                failed = f", {told.failed} failed" if told.failed else ""
                said = f"{step_name(step)}: {told.over} of {told.total} ended{failed}"
                self._say(step.loop, said, False)

    def _item_failed(self, told: Progress, item: Task) -> None:
        failure = item.failure
        assert failure is not None
        told.failed += 1
        self.failed += 1
        if failure.mode in told.modes:
            return
        told.modes.add(failure.mode)
        self._failure(told.step, FailureKind(failure.mode, 1, item.id, item.label, failure.message))

    def _failure(self, step: Step, one: FailureKind) -> None:
        """Tell the first failure of a mode."""
        label = f" ({one_line(one.label, 60)})" if one.label else ""
        said = f": {one_line(one.message)}" if one.message else ""
        worker = "" if step.worker is None else f" {step.worker.name}"
        name = f"{entry_path(step)}{one.first.removeprefix(step.id)}{label}{worker}"
        self._say(step.loop, f"{name}: failed, {one.mode}{said}", True)

    def ended(self, step: Step) -> None:
        """Tell how a step has ended, once."""
        if id(step) in self._ended or not step.over:
            return
        # Kept, so that no other object gets its id.
        self._ended[id(step)] = step
        told = self._running.pop(id(step), None)
        counts = counts_of(step)
        self.failed += counts.failed - counts.dropped - (0 if told is None else told.failed)
        for task in step.items.values():
            self._failures.discard(id(task))
        name = step_name(step)
        if step.status == "skipped":
            if self._progress:
                self._say(step.loop, f"{name}: skipped", False)
            return
        ms = "" if step.started_at is None else f" in {duration(_ms(step))}"
        words = counts_text(kind(step), counts_record(step))
        failures = failures_of(step)
        for one in failures:  # those that no event has brought, or whose event comes later
            if told is None or one.mode not in told.modes:
                self._failure(step, one)
        kinds = failures_text(map(failure_record, failures))
        said = f"{name}: {step.status}{ms}, {words}" + (f" ({kinds})" if kinds else "")
        own = step.failure
        if own is not None and not kinds:
            said += f": {own.mode}: {one_line(own.message)}"
        self._say(step.loop, said, bool(kinds) or own is not None)


def _ms(step: Step) -> int:
    assert step.started_at is not None
    return (step.ended_at if step.ended_at is not None else step.started_at) - step.started_at


def _amount(step: Step, total: int) -> str:
    word = {"each": "item", "reduce": "call", "repeat": "pass"}[kind(step)]
    return f"{total} {word}" if total == 1 else f"{total} {word}{'es' if word == 'pass' else 's'}"
