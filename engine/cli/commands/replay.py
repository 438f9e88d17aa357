"""`orch replay`: re-drive a run from its journal without a call, and say where it does not fit."""

from __future__ import annotations

import json
from typing import Any

import click
import msgspec

from engine.cli import complete
from engine.cli.exit_codes import Exit
from engine.cli.format_values import count, one_line
from engine.cli.journals import find_run, journal_option, open_journal
from engine.cli.options import format_option
from engine.cli.output import echo, warn
from engine.history.changes import Change
from engine.history.replay import Divergence
from engine.history.whole_replay import WholeReplay, replay_run

__all__ = ["command"]


@click.command("replay")
@click.argument("run", metavar="[RUN]", default="last", shell_complete=complete.runs)
@click.option(
    "--file",
    metavar="PATH",
    help="Also replay with this file, instead of the file of the run.",
)
@format_option("How to show what was found.")
@journal_option
def command(run: str, file: str | None, style: str, directory: str) -> int:
    """Drive RUN again from its journal, without any calls, and report divergences.

    RUN is a run's id, the beginning of one, or `last`. It is replayed with its own program
    and, if its file has changed since, with the current file. The report has the changes, the first
    event that they affect, and the first event that would not have happened.

    Exit codes: 0 no divergence; 1 a divergence; 2 usage; 3 the journal or the file cannot be read,
    or the program has errors.
    """
    journal = open_journal(directory)
    try:
        found = replay_run(journal, find_run(journal, run), file)
    finally:
        journal.close()
    if found.skipped is not None:
        words, help = found.skipped
        warn(words, help=help)
    if style == "json":
        echo(json.dumps(_report(found), indent=2))
    else:
        _tell(found)
    compared = found.compared
    diverged = found.recorded.divergence or (compared and compared.replay.divergence)
    return Exit.FINDINGS if diverged else Exit.OK


def _report(found: WholeReplay) -> dict[str, Any]:
    compared = found.compared
    report: dict[str, Any] = {
        "run": found.record.run,
        "status": found.record.status,
        "events": found.events,
        "divergence": _plain(found.recorded.divergence),
        "file": found.path,
        "changed": compared is not None,
    }
    if compared is not None:
        touched = compared.replay.touched
        report["files"] = compared.files
        report["changes"] = [msgspec.to_builtins(change) for change in compared.changes]
        report["file_divergence"] = _plain(compared.replay.divergence)
        report["matters_from"] = found.matters_from
        report["first_call"] = touched and {"seq": touched[0], "name": touched[1]}
    return report


def _plain(divergence: Divergence | None) -> Any:
    return None if divergence is None else msgspec.to_builtins(divergence)


def _tell(found: WholeReplay) -> None:
    record, compared, recorded = found.record, found.compared, found.recorded
    echo(f"run {record.run}: {count(found.events, 'event')}, {record.status}")
    if recorded.divergence is None:
        echo("with the program in the journal: no divergence")
    else:
        echo("with the program in the journal:")
        _tell_divergence(recorded.divergence)
    if compared is None:
        return
    echo(f"{found.path} has changed since:")
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
