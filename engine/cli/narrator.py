"""Describes a run line by line while it is active, for people.

An observer of the driver. It gets each event once that event is durable, with the state after the
whole batch. It reads rounds, decisions and verdicts from the state, each once, with a cursor for
each loop, and identifies calls by their start. It does no I/O: lines go to a `say` function. Its
cost per event does not depend on the size of the run. Steps are told by `engine.cli.step_lines`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Literal

from engine.cli.format_values import count, duration, one_line
from engine.cli.step_lines import StepTeller, entry_path, is_quiet
from engine.events import (
    CallFailed,
    CallFinished,
    CallStarted,
    Event,
    GateOpened,
    NoteGiven,
    RunResumed,
)
from engine.runtime.state import Call, Check, Loop, Round, RunState, Task

__all__ = ["Narrator", "Tone"]

#: How a line is meant: a heading, something that went wrong, a detail, or neither.
Tone = Literal["head", "bad", "detail", "plain"]


class _Cursor:
    """How much of a loop has been told."""

    __slots__ = ("decided", "ended", "many", "rejected", "round", "verdicts")

    def __init__(self) -> None:
        self.round = 0
        # Verdicts of hooks of tasks, in a round with steps: how many of each kind there were, and
        # how many of them the first line has told.
        self.many: dict[tuple[str, str, bool], tuple[int, int]] = {}
        self.rejected = 0
        self.decided = False
        self.verdicts = 0
        self.ended = 0


class Narrator:
    """Tells a run.

    Args:
        say: Takes a line and its tone.
        tasks: Whether to report tasks that start or are done, or only of those that fail.

    Attributes:
        running: The calls that are under way now, by key.
        waiting: Those that wait for their next attempt, by key.
        steps: Tells the steps.
    """

    def __init__(self, say: Callable[[str, Tone], None], *, tasks: bool = True) -> None:
        self._say = say
        self._tasks = tasks
        self._cursors: dict[int, tuple[Loop, _Cursor]] = {}
        self._told: set[str] = set()
        self._done: set[str] = set()
        self.running: dict[str, Call] = {}
        self.waiting: dict[str, Call] = {}
        self.steps = StepTeller(self._step_said, progress=tasks)
        self._failed = 0

    def _step_said(self, loop: Loop, line: str, bad: bool) -> None:
        self._say(f"{_margin(loop)}{line}", "bad" if bad else "plain")

    @property
    def failed(self) -> int:
        """How many tasks have failed, items of steps included."""
        return self._failed + self.steps.failed

    @property
    def done(self) -> int:
        """How many tasks have run."""
        return len(self._done)

    def observe(self, event: Event, state: RunState) -> None:
        """Take an event in and say what is new."""
        if isinstance(event, CallStarted):
            self._started(event, state)
        elif isinstance(event, (CallFinished, CallFailed)):
            self._ended(event)
        else:
            if isinstance(event, GateOpened) and event.key in state.gates:
                message = one_line(state.gates[event.key].message, 400)
                self._say(f"  waits for a person: {message}", "bad")
            if isinstance(event, NoteGiven):
                who = one_line(event.by) or "a person"
                self._say(f"  {who} says: {one_line(event.note, 400)}", "plain")
            if isinstance(event, RunResumed):
                # What may happen only once, and what was called off, is not made again.
                again = sum(key in state.calls for key in event.lost)
                if again:
                    how = _alone(len(state.suspects.calls), again)
                    self._say(f"resumed; {count(again, 'call')} made again{how}", "detail")
            if state.root is not None:
                self._catch_up(state.root)

    def _started(self, event: CallStarted, state: RunState) -> None:
        call = state.calls.get(event.key)
        if call is None:
            return
        self._catch_up(call.loop)
        again = event.key in self.running or event.attempt > 1
        self.running[event.key] = call
        self.waiting.pop(event.key, None)
        if is_quiet(call.subject):
            self.steps.happened(call)
        elif self._tasks and isinstance(call.subject, Task):
            attempt = f", attempt {event.attempt}" if again else ""
            name = f"{entry_path(call.subject)} {call.subject.worker.name}"
            self._say(f"{_margin(call.loop)}{name}: started{attempt}", "detail")

    def _ended(self, event: CallFinished | CallFailed) -> None:
        call = self.running.pop(event.key, None)
        if call is None:
            return
        if _waits(call):
            self.waiting[event.key] = call
        subject = call.subject
        if is_quiet(subject):
            self._quietly_ended(call)
        elif isinstance(subject, Task):
            self._task_ended(event, call, subject)
        elif call.command is not None or call.failure is not None:
            mode = event.mode if isinstance(event, CallFailed) else "invalid_output"
            said = f": {event.message}" if isinstance(event, CallFailed) and event.message else ""
            wait = f", {_again(event, call)}" if _waits(call) else ""
            self._say(f"{_prefix(call.loop)}{_name(call)}: {mode}{one_line(said)}{wait}", "bad")
        for loop in call.loop.lineage():
            self._catch_up(loop)

    def _quietly_ended(self, call: Call) -> None:
        """Count a call inside a step that has ended."""
        if call.command is None and call.failure is None and isinstance(call.subject, Task):
            self._done.add(call.key)
        self.steps.happened(call)

    def _task_ended(self, event: CallFinished | CallFailed, call: Call, task: Task) -> None:
        name = f"{_margin(call.loop)}{entry_path(task)} {task.worker.name}"
        if call.command is not None:
            revised = isinstance(event, CallFinished) and bool(task.feedback)
            mode = event.mode if isinstance(event, CallFailed) else "invalid_output"
            if revised:
                self._catch_up(call.loop)  # the verdict that asks for it comes first
            what = "done" if revised else mode
            again = _again(event, call)
            self._say(f"{name}: {what} after {duration(event.ms)}, {again}", "bad")
        else:
            self._call_over(call, task, event.ms)

    def _call_over(self, call: Call, task: Task, ms: int) -> None:
        """Say how a task's call has ended: the task with it, unless someone takes over.

        A withdrawn call has not: the run has ended before it.
        """
        name = f"{_margin(call.loop)}{entry_path(task)} {task.worker.name}"
        if call.status == "withdrawn":
            if self._tasks:
                self._say(f"{name}: cancelled", "plain")
        elif call.failure is None:
            self._done.add(call.key)
            if self._tasks:
                self._say(f"{name}: done in {duration(call.ms)}", "plain")
        elif task.failure is not None:
            self._task_failed(task, call.failure.mode, call.failure.message, ms)
        else:
            said = f": {one_line(call.failure.message)}" if call.failure.message else ""
            self._say(f"{name}: {call.failure.mode} after {duration(ms)}{said}", "bad")

    def _task_failed(self, task: Task, mode: str, message: str, ms: int | None = None) -> None:
        if task.key in self._told:
            return
        self._told.add(task.key)
        self._failed += 1
        after = "" if ms is None else f" after {duration(ms)}"
        said = f": {one_line(message)}" if message else ""
        self._say(
            f"{_margin(task.loop)}{entry_path(task)} {task.worker.name}: "
            f"failed{after}, {mode}{said}",
            "bad",
        )

    def _catch_up(self, loop: Loop) -> None:
        """Say what has become of a loop since it was last looked at."""
        if loop.task is not None and is_quiet(loop):
            return
        known = self._cursors.get(id(loop))
        if known is None:
            known = self._cursors[id(loop)] = loop, _Cursor()
        cursor = known[1]
        cursor.round = min(cursor.round, loop.round)  # a retry takes rounds back
        while True:
            if cursor.round:
                self._look(loop, loop.rounds[cursor.round - 1], cursor)
            if cursor.round >= loop.round and not (loop.over and cursor.ended < cursor.round):
                return
            if cursor.round:
                self._close(loop, loop.rounds[cursor.round - 1], cursor)
            if cursor.round >= loop.round:
                return
            self._open(loop, cursor)

    def _open(self, loop: Loop, cursor: _Cursor) -> None:
        cursor.round += 1
        cursor.rejected, cursor.decided, cursor.verdicts = 0, False, 0
        who = "" if loop.task is None else f"{entry_path(loop.task)} {loop.orchestrator.name}: "
        limit = loop.orchestrator.policy.max_rounds
        self._say(f"{_margin(loop)[2:]}{who}round {cursor.round} of {limit}", "head")

    def _look(self, loop: Loop, now: Round, cursor: _Cursor) -> None:
        margin = _prefix(loop)
        while cursor.rejected < len(now.rejected):
            said = one_line(now.rejected[cursor.rejected], 240)
            cursor.rejected += 1
            again = ", asking again" if cursor.rejected < now.attempts else ""
            self._say(f"{margin}decision {cursor.rejected} was not accepted{again}: {said}", "bad")
        if now.decision is not None and not cursor.decided:
            cursor.decided = True
            what = "finish" if "finish" in now.decision else _entries(now)
            assessment = str(now.decision.get("assessment") or "")
            said = f": {one_line(assessment)}" if assessment else ""
            self._say(f"{margin}plan, {what}{said}", "plain")
        new = now.verdicts[cursor.verdicts :]
        cursor.verdicts = len(now.verdicts)
        # One answer of a person before items start is a verdict for each of them.
        at_once = Counter(verdict for verdict in new if verdict[0] == "before_dispatch")
        for verdict in new:
            point, verifier, ok, feedback = verdict
            many = ""
            if now.steps and point in ("before_dispatch", "after_dispatch"):
                key = (point, verifier, ok)
                seen, told = cursor.many.get(key, (0, at_once[verdict] or 1))
                cursor.many[key] = seen + 1, told
                if seen:
                    continue
                many = f", {count(told, 'time')}" if told > 1 else ""
            if not ok:
                said = f": {one_line(feedback)}" if feedback else ""
                self._say(f"{margin}{verifier} ({point}): not passed{many}{said}", "bad")
            elif self._tasks:
                self._say(f"{margin}{verifier} ({point}): passed{many}", "detail")

    def _close(self, loop: Loop, over: Round, cursor: _Cursor) -> None:
        """Report what no event has told yet, before the next round is reported.

        Failures that no call brought, such as a reference that was not met, and calls whose end
        is durable but comes after the event that is being told.
        """
        cursor.ended = cursor.round
        for key, call in list(self.running.items()):
            task = call.subject
            if call.loop is loop and isinstance(task, Task) and call.command is None:
                del self.running[key]
                if is_quiet(task):
                    self._quietly_ended(call)
                else:
                    self._call_over(call, task, call.ms)
        self._close_steps(loop, over, cursor)
        for task in over.tasks:
            if task.child is not None:
                self._catch_up(task.child)
            if task.failure is not None and task.key not in self._told:
                self._task_failed(task, task.failure.mode, task.failure.message)
            elif task.plan is not None and task.status == "done" and self._tasks:
                self._say(f"{_margin(loop)}{entry_path(task)} {task.worker.name}: done", "plain")
        if over.decision is None and (not loop.over or loop.bound == "max_rounds"):
            self._say(f"{_prefix(loop)}no acceptable decision in this round", "bad")

    def _close_steps(self, loop: Loop, over: Round, cursor: _Cursor) -> None:
        """Report the ends of steps that no event has told, and how often checks said the same."""
        for step in over.steps:
            for task in step.items.values():
                if task.child is not None:
                    self._catch_up(task.child)
            self.steps.ended(step)
        for (point, verifier, ok), (number, told) in cursor.many.items():
            if number > told and (self._tasks or not ok):
                what = "passed" if ok else "not passed"
                said = f"{verifier} ({point}): {what}, {count(number, 'time')} in all"
                self._say(f"{_prefix(loop)}{said}", "detail" if ok else "bad")
        cursor.many.clear()


def _entries(now: Round) -> str:
    """How many tasks and steps a decision has."""
    tasks, steps = len(now.tasks), len(now.steps)
    if not tasks and not steps:  # its hooks look at it first
        specs = (now.decision or {}).get("tasks", ())
        steps = sum("each" in spec or "reduce" in spec for spec in specs)
        tasks = len(specs) - steps
    words = [count(tasks, "task")] if tasks or not steps else []
    if steps:
        words.append(count(steps, "step"))
    return " and ".join(words)


def _alone(suspects: int, again: int) -> str:
    """How many of the repeated calls run apart from the engine, because one may have killed it."""
    if not suspects:
        return ""
    which = "" if suspects == again else f"{suspects} of them "
    how = "in its own process" if suspects == 1 else "one at a time, each in its own process"
    return f", {which}{how}"


def _margin(loop: Loop) -> str:
    return "  " * loop.depth


def _prefix(loop: Loop) -> str:
    """The prefix of a line about a loop itself: which of several parallel loops it is."""
    who = "" if loop.task is None else f"{entry_path(loop.task)} {loop.orchestrator.name}: "
    return _margin(loop) + who


#: A wait shorter than this is not worth a word, in milliseconds.
_SHORT_MS = 1_000


def _waits(call: Call) -> bool:
    return call.command is not None and call.command.delay_ms >= _SHORT_MS


def _again(event: CallFinished | CallFailed, call: Call) -> str:
    """When a call is made again, and why only then."""
    if not _waits(call):
        return "trying again"
    assert call.command is not None
    delay_ms = call.command.delay_ms
    asked = isinstance(event, CallFailed) and event.retry_after_ms == delay_ms
    return f"trying again in {duration(delay_ms)}{', as it asked' if asked else ''}"


def _name(call: Call) -> str:
    if isinstance(call.subject, Check):
        return f"verifier {call.subject.verifier.name}"
    return f"model {call.loop.orchestrator.model}"
