"""`orch tail`: follow the events of a run while another process drives it."""

from __future__ import annotations

import click

from engine import clock
from engine.cli import complete
from engine.cli.commands.export import event_line
from engine.cli.end_report import EXITS
from engine.cli.exit_codes import Exit
from engine.cli.format_values import duration, one_line
from engine.cli.journals import find_run, journal_option, open_journal
from engine.cli.options import format_option
from engine.cli.output import echo
from engine.cli.step_lines import entry_path, step_name
from engine.events import (
    CallFailed,
    CallFinished,
    CallStarted,
    Event,
    GateAnswered,
    RunStarted,
)
from engine.history.compare import item_of
from engine.history.judged import Judge
from engine.history.replay import describe
from engine.journal import Journal
from engine.journal.listing import shown_status
from engine.runtime.ending import subtree
from engine.runtime.sources import sources
from engine.runtime.state import RunState, Task

__all__ = ["command", "event_text"]

#: How often the journal is looked at, in seconds. Reading never holds up who writes.
_EVERY_S = 0.2
#: How often the events of a step's items are told while they keep coming, in seconds.
_PROGRESS_S = 2.0


@click.command("tail")
@click.argument("run", metavar="[RUN]", default="last", shell_complete=complete.runs)
@click.option("--items", is_flag=True, help="Show each event of the items of steps, too.")
@format_option("A line of text, or of JSON as `orch export` writes it, for each event.")
@journal_option
def command(run: str, items: bool, style: str, directory: str) -> int:
    """Show the events of RUN, and those to come, until the run ends, waits, or is no longer being
    driven.

    Events of the items of a step that follow one another are added up in one line, unless --items
    is given or they are shown as JSON.

    Exit codes: those of `orch run`; 0 if the run was interrupted.
    """
    journal = open_journal(directory)
    try:
        found = find_run(journal, run)
        seen = 0
        judge: Judge | None = None
        lines = _Lines(each=items)
        while True:
            # Looked at before the events are read: what it says has been written by then.
            record = journal.record(found)
            events = journal.read(found, seen)
            if style == "text" and (judge is None or any(map(_changes_program, events))):
                judge = _judge(journal, found, seen)
            for event in events:
                seen += 1
                if judge is None:
                    echo(event_line(seen, event))
                else:
                    lines.add(seen, judge.take(event), judge)
            status = shown_status(record)
            if status != "running":
                lines.flush()
                break
            lines.flush_if_due()
            clock.pause(_EVERY_S)
    finally:
        journal.close()
    return Exit.OK if status == "interrupted" else EXITS[record.status]


def _judge(journal: Journal, run: str, seen: int) -> Judge:
    """Follows a run from after so many of its events."""
    judge = Judge(journal.record(run), journal.read(run))
    for event in journal.read(run)[:seen]:
        judge.take(event)
    return judge


def _changes_program(event: Event) -> bool:
    return bool(getattr(event, "program", "")) and not isinstance(event, RunStarted)


class _Group:
    """Events of the items of one step that follow one another.

    Args:
        name: The step and its worker, for people.
        seq: The number of the first event.
        event: That event; `said` is it as a line.
    """

    def __init__(self, name: str, seq: int, event: Event, said: str) -> None:
        self.name = name
        self.said = said
        self.first = seq
        self.only: Event | None = event
        self.last, self.at = seq, event.at
        self.begun = self.done = 0
        self.failed: dict[str, int] = {}

    def add(self, seq: int, event: Event) -> None:
        """Count an event."""
        self.only = event if seq == self.first else None
        self.last, self.at = seq, event.at
        if isinstance(event, CallStarted):
            self.begun += 1
        elif isinstance(event, CallFinished):
            self.done += 1
        elif isinstance(event, CallFailed):
            self.failed[event.mode] = self.failed.get(event.mode, 0) + 1

    def text(self) -> str:
        """All of them in one line, or the only one as it is."""
        if self.only is not None:
            return self.said
        parts = [f"{self.begun} started"] if self.begun else []
        parts += [f"{self.done} done"] if self.done else []
        parts += [f"{number} {mode}" for mode, number in self.failed.items()]
        said = ", ".join(parts) or f"{self.last - self.first + 1} events"
        told = one_line(f"{self.name}: calls: {said}", 160)
        return f"{self.last:>6}  {duration(self.at):>8}  {told}"


class _Lines:
    """Prints events, those of steps' items added up.

    Args:
        each: Whether to print those one by one, too.
    """

    def __init__(self, *, each: bool) -> None:
        self._each = each
        self._groups: dict[str, _Group] = {}
        self._since_s = 0.0

    def add(self, seq: int, event: Event, judge: Judge) -> None:
        """Take an event in, and print what is complete."""
        key = getattr(event, "key", "")
        is_call = isinstance(event, (CallStarted, CallFinished, CallFailed))
        place = item_of(key) if is_call and not self._each else None
        if place is None:
            self.flush()
            echo(_followed_text(seq, event, judge))
            return
        if not self._groups:
            self._since_s = clock.running_s()
        if place[0] not in self._groups:
            said = _followed_text(seq, event, judge)
            self._groups[place[0]] = _Group(_step_named(judge, place[0]), seq, event, said)
        self._groups[place[0]].add(seq, event)

    def flush_if_due(self) -> None:
        """Print what was added up if that was a while ago."""
        if self._groups and clock.running_s() - self._since_s >= _PROGRESS_S:
            self.flush()

    def flush(self) -> None:
        """Print what was added up."""
        for group in self._groups.values():
            echo(group.text())
        self._groups.clear()


def _step_named(judge: Judge, key: str) -> str:
    """The step of a key as people name it, with its worker; the key if it cannot be known."""
    root = None if judge.state is None else judge.state.root
    for loop in () if root is None else subtree(root):
        for step in loop.every_step():
            if step.key == key:
                return step_name(step)
    return key


def _followed_text(seq: int, event: Event, judge: Judge) -> str:
    """An event as one line; that of a task by the task's path, label and worker, not its key."""
    call = judge.call
    task = call.subject if call is not None else None
    if not isinstance(task, Task):
        return event_text(seq, event)
    label = f" ({task.label})" if task.label else ""
    name = f"{entry_path(task)}{label} {task.worker.name}"
    if isinstance(event, CallStarted):
        said = "started" + _with_untrusted(judge.state, task)
    elif isinstance(event, CallFinished):
        said = f"done in {duration(event.ms)}"
    elif isinstance(event, CallFailed):
        said = event.mode + (f": {event.message}" if event.message else "")
    else:
        return event_text(seq, event)
    if event.attempt > 1:
        name += f", attempt {event.attempt}"
    return _line(seq, event, f"{name}: {said}")


def _with_untrusted(state: RunState | None, task: Task) -> str:
    """Which parts of the input of a task hold untrusted text."""
    parts = [] if state is None else [one.path[1:] for one in sources(state, task) if one.tainted]
    return f", with untrusted text in {', '.join(dict.fromkeys(parts))}" if parts else ""


def event_text(seq: int, event: Event) -> str:
    """An event as one line for people: its number, its running time, what happened."""
    said = describe(event)
    if isinstance(event, GateAnswered) and event.note:
        said += f": {event.note}"
    return _line(seq, event, said)


def _line(seq: int, event: Event, said: str) -> str:
    return f"{seq:>6}  {duration(event.at):>8}  {one_line(said, 160)}"
