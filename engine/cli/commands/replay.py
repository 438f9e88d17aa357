"""`orch replay`: re-drive a run from its journal without a call, and say where it does not fit."""

from __future__ import annotations

import json
import os
from typing import Any

import click
import msgspec

from engine.cli import complete
from engine.cli.exit_codes import Exit
from engine.cli.format_values import count, one_line
from engine.cli.journals import find_run, journal_option, open_journal
from engine.cli.options import format_option
from engine.cli.output import echo, warn
from engine.drive.loading import compile_record
from engine.errors import JournalError
from engine.events import Event
from engine.history.changes import Change
from engine.history.current import Comparison, against, current_program, file_of
from engine.history.replay import Divergence, Replay, replay
from engine.journal import RunRecord

__all__ = ["command"]


@click.command("replay")
@click.argument("run", metavar="RUN", default="last", shell_complete=complete.runs)
@click.option(
    "--file",
    metavar="PATH",
    help="Replay with the program in this file too, instead of that in the run's file as it is.",
)
@format_option("How to show what was found.")
@journal_option
def command(run: str, file: str | None, style: str, directory: str) -> int:
    """Drive RUN once more from its journal, without any call, and say where that does not fit.

    RUN is a run's id, the beginning of one, or `last`. First with the program it has; then, if its
    file has changed since, with the program that holds now: what has changed, from which event on
    it matters, and the first event that would not have happened so.

    Exit codes: 0 no divergence; 1 a divergence; 2 usage; 3 the journal or the file cannot be read,
    or the program does not check.
    """
    journal = open_journal(directory)
    try:
        found = find_run(journal, run)
        record = journal.record(found)
        events = journal.read(found)
    finally:
        journal.close()
    if not events:
        raise JournalError(f"run {found} has no events: it ended before it began")
    recorded = replay(compile_record(record), events)
    path = os.path.relpath(file_of(record)) if file is None else file
    compared = _compared(record, events, file, path)
    if style == "json":
        echo(json.dumps(_report(record, events, recorded, compared, path), indent=2))
    else:
        _tell(record, events, recorded, compared, path)
    diverged = recorded.divergence or (compared and compared.replay.divergence)
    return Exit.FINDINGS if diverged else Exit.OK


def _compared(
    record: RunRecord, events: list[Event], file: str | None, path: str
) -> Comparison | None:
    """The journal under the file as it is now; None where that is not another program."""
    if file is None and not record.trusted:
        # The journal names it, and so it could be any file, which findings would quote.
        warn(
            "the file that the run names is left alone: only what is in the journal is replayed",
            help="name a file with --file, or trust the journal",
        )
        return None
    if file is None and not os.path.exists(file_of(record)):
        warn(f"{path} is not there any more: only the program in the journal is replayed")
        return None
    program = current_program(record, file)
    if dict(program.files) == dict(record.files):
        return None
    return against(record, events, program)


def _report(
    record: RunRecord,
    events: list[Event],
    recorded: Replay,
    compared: Comparison | None,
    path: str,
) -> dict[str, Any]:
    report: dict[str, Any] = {
        "run": record.run,
        "status": record.status,
        "events": len(events),
        "divergence": _plain(recorded.divergence),
        "file": path,
        "changed": compared is not None,
    }
    if compared is not None:
        touched = compared.replay.touched
        report["files"] = compared.files
        report["changes"] = [msgspec.to_builtins(change) for change in compared.changes]
        report["file_divergence"] = _plain(compared.replay.divergence)
        report["matters_from"] = _matters_from(compared.replay)
        report["first_call"] = touched and {"seq": touched[0], "name": touched[1]}
    return report


def _plain(divergence: Divergence | None) -> Any:
    return None if divergence is None else msgspec.to_builtins(divergence)


def _matters_from(result: Replay) -> int | None:
    """The first event that something changed has a part in."""
    places = [result.touched[0]] if result.touched else []
    if result.divergence is not None:
        places.append(result.divergence.seq)
    return min(places, default=None)


def _tell(
    record: RunRecord,
    events: list[Event],
    recorded: Replay,
    compared: Comparison | None,
    path: str,
) -> None:
    echo(f"run {record.run}: {count(len(events), 'event')}, {record.status}")
    if recorded.divergence is None:
        echo("with the program in the journal: no divergence")
    else:
        echo("with the program in the journal:")
        _tell_divergence(recorded.divergence)
    if compared is None:
        return
    echo(f"{path} has changed since:")
    for change in compared.changes:
        _tell_change(change)
    if not compared.changes:
        echo(f"  nothing that a run sees ({', '.join(compared.files)})")
    result = compared.replay
    if result.divergence is not None:
        echo("with the file as it is:")
        _tell_divergence(result.divergence)
    else:
        affected = "" if result.touched else "; no event is affected"
        echo(f"with the file as it is: no divergence{affected}")
    if result.touched is not None:
        seq, name = result.touched
        echo(f"it matters from event {seq} on: the first call of `{name}`; results are kept")


def _tell_change(change: Change) -> None:
    if change.what != "changed":
        echo(f"  {change.kind} {change.name}: {change.what}")
        return
    for name, before, now in change.settings:
        line = f"  {change.kind} {change.name}: {name}: {before} -> {now}"
        echo(one_line(line, 200))


def _tell_divergence(divergence: Divergence) -> None:
    echo(f"  divergence at event {divergence.seq}: {divergence.why}")
    if divergence.kind == "request":
        echo(f"    at:        {divergence.key}")
        echo(f"    asked:     {divergence.has}")
        echo(f"    would ask: {divergence.expected}")
    else:
        echo(f"    journal:   {divergence.has}")
        echo(f"    machine:   {divergence.expected}")
