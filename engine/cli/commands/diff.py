"""`orch diff`: what differs between two runs, call by call."""

from __future__ import annotations

import json
import sys

import click
import msgspec

from engine.cli import complete
from engine.cli.exit_codes import Exit
from engine.cli.format_values import count, one_line
from engine.cli.journals import find_run, journal_option, open_journal
from engine.cli.options import format_option
from engine.cli.output import echo, screen_width
from engine.history.changes import changed_files
from engine.history.compare import Difference, differences, shared_events
from engine.journal.listing import shown_status

__all__ = ["command"]


@click.command("diff")
@click.argument("first", metavar="RUN", shell_complete=complete.runs)
@click.argument("second", metavar="RUN", shell_complete=complete.runs)
@format_option("How to show the differences.")
@journal_option
def command(first: str, second: str, style: str, directory: str) -> int:
    """Show the differences between two runs: a fork and its parent, or two runs of one program.

    Calls and gates are compared by their outcome, under the keys that both runs have.

    Exit codes: 0 the same; 1 they differ; 2 usage; 3 the journal cannot be read.
    """
    journal = open_journal(directory)
    try:
        runs = [find_run(journal, name) for name in (first, second)]
        records = [journal.record(run) for run in runs]
        one, other = (journal.read(run) for run in runs)
    finally:
        journal.close()
    found = differences(one, other)
    files = changed_files(records[0].files, records[1].files)
    shared = shared_events(one, other)
    if style == "json":
        report = {
            "runs": runs,
            "status": [shown_status(record) for record in records],
            "shared_events": shared,
            "files": files,
            "differences": [msgspec.to_builtins(difference) for difference in found],
        }
        echo(json.dumps(report, indent=2))
    else:
        width = max(60, screen_width(sys.stdout))
        echo(f"- {runs[0]}: {count(len(one), 'event')}, {shown_status(records[0])}")
        echo(f"+ {runs[1]}: {count(len(other), 'event')}, {shown_status(records[1])}")
        echo(f"the same up to event {shared}" if shared else "not one event is the same")
        if files:
            echo(f"the programs differ: {', '.join(files)}")
        for difference in found:
            _tell(difference, width)
        if not found:
            echo("every call has come to the same")
    return Exit.FINDINGS if found else Exit.OK


def _tell(difference: Difference, width: int) -> None:
    echo(difference.key or "the end of the run")
    if difference.what != "second":
        echo(f"  - {one_line(difference.first, width - 4)}")
    if difference.what != "first":
        echo(f"  + {one_line(difference.second, width - 4)}")
