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
from engine.events import Event, GateAnswered
from engine.history.replay import describe
from engine.journal.listing import shown_status

__all__ = ["command", "event_text"]

#: How often the journal is looked at, in seconds. Reading never holds up who writes.
_EVERY_S = 0.2


@click.command("tail")
@click.argument("run", metavar="[RUN]", default="last", shell_complete=complete.runs)
@format_option("A line of text, or of JSON as `orch export` writes it, for each event.")
@journal_option
def command(run: str, style: str, directory: str) -> int:
    """Show the events of RUN, and those to come, until the run ends, waits, or is no longer being
    driven.

    Exit codes: those of `orch run`; 0 if the run was interrupted.
    """
    journal = open_journal(directory)
    try:
        found = find_run(journal, run)
        seen = 0
        while True:
            # Looked at before the events are read: what it says has been written by then.
            record = journal.record(found)
            for event in journal.read(found, seen):
                seen += 1
                line = event_line(seen, event) if style == "json" else event_text(seen, event)
                echo(line)
            status = shown_status(record)
            if status != "running":
                break
            clock.pause(_EVERY_S)
    finally:
        journal.close()
    return Exit.OK if status == "interrupted" else EXITS[record.status]


def event_text(seq: int, event: Event) -> str:
    """An event as one line for people: its number, its running time, what happened."""
    said = describe(event)
    if isinstance(event, GateAnswered) and event.note:
        said += f": {event.note}"
    return f"{seq:>6}  {duration(event.at):>8}  {one_line(said, 160)}"
