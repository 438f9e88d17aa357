"""`orch show`: one run, as its journal tells it: rounds, tasks, failures, verdicts, cost."""

from __future__ import annotations

import re
import sys
from typing import Any

import click

from engine.cli import complete
from engine.cli.commands.export import event_line
from engine.cli.commands.tail import event_text
from engine.cli.end_report import write_report
from engine.cli.exit_codes import CommandError, Exit
from engine.cli.failure_text import end_drawn, failures_drawn
from engine.cli.format_values import count
from engine.cli.journals import find_run, journal_option, open_journal, timestamp
from engine.cli.options import format_option
from engine.cli.output import echo, screen_width, warn
from engine.cli.run_text import run_text, task_text
from engine.cli.task_names import task_name, task_option, typed
from engine.drive.loading import compile_record
from engine.errors import JournalError
from engine.journal import Journal, RunRecord
from engine.journal.listing import shown_status
from engine.runtime.machine import fold
from engine.runtime.report import run_report
from engine.runtime.state import RunState
from engine.sema.suggest import closest, names_list

__all__ = ["command"]

#: The id of an item of a step.
_NUMBERED = re.compile(r"(.+)\[\d+(?:\.\d+)*\]")


@click.command("show")
@click.argument("run", metavar="[RUN]", default="last", shell_complete=complete.runs)
@click.option("--round", "number", type=click.IntRange(min=1), help="Only this round.")
@click.option(
    "--task",
    metavar="ID",
    callback=task_option,
    help="Only this task, with its full values, or this step with its items; r:7 is r[7]. "
    "An item can be named by its label, also after its step: r:LABEL.",
)
@click.option("--items", is_flag=True, help="Show the items of each step, a line each.")
@click.option("--events", "listed", is_flag=True, help="List its events with their numbers.")
@click.option("--full", is_flag=True, help="Show full values instead of their beginning.")
@format_option("How to show it.")
@journal_option
def command(
    run: str,
    number: int | None,
    task: str | None,
    items: bool,
    listed: bool,
    full: bool,
    style: str,
    directory: str,
) -> int:
    """Show RUN: a run's id, the beginning of one, or `last`.

    A run that is being driven is shown as far as it has come. Of a damaged journal, the readable
    part is shown.
    """
    journal = open_journal(directory)
    try:
        found = find_run(journal, run)
        if listed:
            return _list(journal, found, style)
        state, report = _report(journal, found, directory, items=items or task is not None)
    finally:
        journal.close()
    if report["damage"] is not None:
        warn(
            f"the journal of this run is damaged: {report['damage']}",
            help="what comes before that is shown",
        )
    if number is not None:
        _keep_round(report, number)
    one = None if task is None else _task(report, task)
    if style == "json":
        write_report(report if one is None else one, sys.stdout)
    elif one is not None:
        echo(task_text(one, screen_width(sys.stdout)))
    else:
        echo(run_text(report, full=full, width=screen_width(sys.stdout), only=number))
        if number is None:
            _draw(state)
    return Exit.OK


def _list(journal: Journal, run: str, style: str) -> int:
    """The events with their numbers, which `orch resume --from` takes."""
    events, damage = journal.salvage(run)
    for seq, event in enumerate(events, 1):
        echo(event_line(seq, event) if style == "json" else event_text(seq, event))
    if damage is not None:
        warn(f"the journal of this run is damaged: {damage}", help="what comes before is listed")
    return Exit.OK


def _draw(state: RunState) -> None:
    """The places that the run's end and its failures come from."""
    stream = sys.stdout
    for drawn in (end_drawn(state, stream=stream), failures_drawn(state, stream=stream)):
        if drawn:
            echo(f"\n{drawn}", painted=True)


def _report(
    journal: Journal, run: str, directory: str, *, items: bool
) -> tuple[RunState, dict[str, Any]]:
    """A run, and everything about it as plain data.

    Raises:
        JournalError: There is nothing to show.
        CompileError: The program of the run has errors with this version.
    """
    record: RunRecord = journal.record(run)
    events, damage = journal.salvage(run)
    if not events:
        raise JournalError(
            f"run {run} has no events"
            + (f" that can be read: {damage}" if damage else ": it ended before it began")
        )
    state = fold(compile_record(record), events)
    return state, {
        **run_report(state, details=True, items=items),
        "status": shown_status(record),
        "workflow": record.workflow,
        "params": dict(record.params),
        "started": timestamp(record.started_ms),
        "ended": None if record.ended_ms is None else timestamp(record.ended_ms),
        "engine": record.engine,
        "parent": record.parent,
        "parent_seq": record.parent_seq,
        "labels": dict(record.labels),
        "upgrades": len(record.earlier),
        "journal": directory,
        "damage": damage,
    }


def _keep_round(report: dict[str, Any], number: int) -> None:
    rounds = report.get("history", [])
    kept = [r for r in rounds if r["round"] == number]
    if not kept:
        has = f"it has {len(rounds)}" if rounds else "it has none"
        raise CommandError(f"run {report['run']} has no round {number}; {has}", Exit.USAGE)
    report["history"] = kept


def _task(report: dict[str, Any], name: str) -> dict[str, Any]:
    """The task or step of that id, or of that path (`a2/b1`) where it is nested, or the item of
    that label."""
    entries: dict[str, dict[str, Any]] = {}
    for one in report.get("history", []):
        _collect(entries, one, "", one["round"])
    found = entries.get(name) or next(
        (one for path, one in entries.items() if path.endswith(f"/{name}")), None
    )
    if found is not None:
        return found
    labelled = _labelled(entries, name)
    if len(labelled) == 1:
        return entries[labelled[0]]
    if labelled:
        help = f"items with this label: {names_list(labelled)}"
        raise CommandError(f"several items have the label `{name}`", Exit.USAGE, help=help)
    numbered = _NUMBERED.fullmatch(name)
    if numbered is not None and "kind" in entries.get(numbered[1], {}):
        help = _items_of(entries, numbered[1])
        raise CommandError(f"run {report['run']} has no task `{name}`", Exit.USAGE, help=help)
    near = closest(name, entries)
    plain = [path for path, one in entries.items() if "label" not in one]
    help = f"did you mean `{near}`?" if near else f"tasks: {names_list(plain) or 'none'}"
    raise CommandError(f"run {report['run']} has no task `{name}`", Exit.USAGE, help=help)


def _labelled(entries: dict[str, dict[str, Any]], name: str) -> list[str]:
    """The items with a label; of one step, where it is named before the label: `r:a.py`."""
    found = [path for path, one in entries.items() if one.get("label") == name]
    step, colon, label = typed(name).partition(":")
    while colon and not found:
        found = [
            path
            for path, one in entries.items()
            if one.get("label") == label and path.startswith(f"{task_name(step)}[")
        ]
        more, colon, label = label.partition(":")
        step = f"{step}:{more}"
    return found


def _items_of(entries: dict[str, dict[str, Any]], step: str) -> str:
    """Which items a step has, as far as they can be said in a line."""
    numbers = [path[len(step) + 1 : -1] for path in entries if _NUMBERED.fullmatch(path)
               and path.startswith(f"{step}[")]  # fmt: skip
    if not numbers:
        return f"step `{step}` has no items"
    said = numbers[0] if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"
    gaps = ", with gaps" if said.count(".") == 0 and _gaps(numbers) else ""
    return f"step `{step}` has {count(len(numbers), 'item')}: {said}{gaps}"


def _gaps(numbers: list[str]) -> bool:
    return int(numbers[-1]) - int(numbers[0]) + 1 != len(numbers)


def _collect(
    found: dict[str, dict[str, Any]], one: dict[str, Any], above: str, number: int
) -> None:
    """Add the tasks and steps of a round, a plan worker or a pass, by their paths."""
    for task in one["tasks"]:
        _collect_task(found, task, above, number)
    for step in one["steps"]:
        found[f"{above}{step['id']}"] = {"round": number, **step}
        for task in step.get("items", ()):
            _collect_task(found, task, above, number)
        for inside in step.get("passes", ()):
            _collect(found, inside, above, number)


def _collect_task(
    found: dict[str, dict[str, Any]], task: dict[str, Any], above: str, number: int
) -> None:
    path = f"{above}{task['id']}"
    found[path] = {"round": number, **task}
    for inner in task.get("rounds", ()):
        _collect(found, inner, f"{path}/", inner["round"])
    if "plan" in task:
        _collect(found, task["plan"], f"{path}/", number)
