"""`orch export`: the events of a run as JSON lines, whole and numbered."""

from __future__ import annotations

import click
import msgspec

from engine.cli import complete
from engine.cli.exit_codes import Exit
from engine.cli.journals import find_run, journal_option, open_journal
from engine.cli.output import echo, warn
from engine.errors import JournalError
from engine.events import Event, encode_event
from engine.printable import escaped

__all__ = ["command", "event_line"]


@click.command("export")
@click.argument("run", metavar="[RUN]", default="last", shell_complete=complete.runs)
@journal_option
def command(run: str, directory: str) -> int:
    """Write the events of RUN to standard output, one JSON object per line.

    `seq` is the number of an event, for --from of `orch resume`; large values are included. Of a
    damaged journal, the part before the damage is written, and the exit code is 3.
    """
    journal = open_journal(directory)
    try:
        found = find_run(journal, run)
        events, damage = journal.salvage(found)
    finally:
        journal.close()
    if not events and damage is None:
        raise JournalError(f"run {found} has no events: it ended before it began")
    for seq, event in enumerate(events, 1):
        echo(event_line(seq, event))
    if damage is not None:
        warn(f"the journal of this run is damaged: {damage}", help="what comes before is written")
        return Exit.UNREADABLE
    return Exit.OK


def event_line(seq: int, event: Event) -> str:
    """An event with its number as one line of JSON."""
    fields = msgspec.json.decode(encode_event(event))
    return escaped(msgspec.json.encode({"seq": seq, **fields}).decode())
