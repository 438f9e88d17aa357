"""`orch cancel`: end a run that waits or was interrupted."""

from __future__ import annotations

import click

from engine import launch
from engine.cli import complete
from engine.cli.answer import refuse_live
from engine.cli.execute import Manner, carry_out
from engine.cli.exits import CommandError, Exit
from engine.cli.journals import find_run, is_remote, journal_option
from engine.cli.options import color_option, format_option
from engine.journal import SqliteJournal
from engine.launch import Options
from engine.runtime.state import RunState

__all__ = ["command"]


@click.command("cancel")
@click.argument("run", metavar="RUN", shell_complete=complete.runs)
@click.option("--reason", default="cancelled", metavar="TEXT", help="Why, for the journal.")
@format_option("How to give the best partial result.")
@click.option("-q", "--quiet", is_flag=True, help="Only the end, on standard error.")
@color_option
@journal_option
def command(run: str, reason: str, style: str, quiet: bool, color: str, directory: str) -> int:
    """End RUN, which waits or was interrupted: nothing of it is done any more.

    RUN is a run's id, the beginning of one, or `last`. A run that is under way is stopped where it
    runs (Ctrl-C) and can then be cancelled; on a cluster (--on) it is cancelled from here. What a
    `once` task did must be said first: the run waits for that, and is cancelled then.

    Exit codes: 7 cancelled; 5 it waits for a word about a `once` task; 2 it has ended already;
    3 another process has it in hand.
    """
    manner = Manner(style, quiet, color, directory=directory)
    if is_remote(directory):
        # temporalio costs 450 ms to import.
        from engine.cli.remote import cancel_there

        return cancel_there(run, manner, reason)
    journal = SqliteJournal(directory)
    try:
        found = find_run(journal, run)
        record = journal.record(found)
        refuse_live(record, "stop that process (Ctrl-C), and cancel the run then")
        if record.status not in ("running", "waiting"):
            raise CommandError(f"run {found} has ended already ({record.status})", Exit.USAGE)
        extra = {
            "workflow": record.workflow,
            "orchestrator": record.orchestrator,
            "journal": directory,
        }

        async def work(options: Options) -> RunState:
            return await launch.cancel(found, journal, options, reason)

        return carry_out(work, manner, extra=extra)
    finally:
        journal.close()
