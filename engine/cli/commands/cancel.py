"""`orch cancel`: end a run, wherever it is driven."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from engine.cli import complete
from engine.cli.drive_run import RunOptions, carry_out
from engine.cli.end_report import EXITS, note, tell_end
from engine.cli.exit_codes import CommandError, Exit
from engine.cli.journals import find_run, is_remote, journal_option
from engine.cli.options import color_option, format_option, utf8
from engine.drive import launch
from engine.drive.inbox import cancellation, hand_over, wait_for_end
from engine.drive.launch import Options
from engine.drive.loading import load_run
from engine.journal import SqliteJournal
from engine.runtime.state import RunState
from engine.workers.output import reserved_stdout

__all__ = ["command"]


@click.command("cancel")
@click.argument("run", metavar="RUN", shell_complete=complete.runs)
@click.option(
    "--reason",
    default="cancelled",
    metavar="TEXT",
    callback=utf8,
    help="The reason, for the journal.",
)
@format_option("How to give the best partial result.")
@click.option("-q", "--quiet", is_flag=True, help="Print only how it ended, on standard error.")
@color_option
@journal_option
def command(run: str, reason: str, style: str, quiet: bool, color: str, directory: str) -> int:
    """Cancel RUN: no more of its calls are made.

    RUN is a run's id, the beginning of one, or `last`; it may wait, have been interrupted, or be
    driven by another process. If a `once` task was in flight, the run first waits for a person to
    say whether it was done, and is then cancelled.

    Exit codes: 7 cancelled; 5 it waits for an answer about a `once` task; 2 it has ended;
    3 another process is driving it and does not answer.
    """
    run_options = RunOptions(style, quiet, color, directory=directory)
    if is_remote(directory):
        # temporalio costs 450 ms to import.
        from engine.cli.remote import cancel_there

        return cancel_there(run, run_options, reason)
    journal = SqliteJournal(directory)
    try:
        found = find_run(journal, run)
        record = journal.record(found)
        if record.status not in ("running", "waiting"):
            raise CommandError(f"run {found} has ended already ({record.status})", Exit.USAGE)
        extra = {
            "workflow": record.workflow,
            "orchestrator": record.orchestrator,
            "journal": directory,
        }

        seen = None
        if record.live:
            seen, asked = cancellation(journal, record, reason)
            if hand_over(journal, seen, asked) == "taken":
                code = _tell_end(journal, found, run_options, extra)
                if code is not None:
                    return code

        async def work(options: Options) -> RunState:
            return await launch.cancel(found, journal, options, reason, seen)

        return carry_out(work, run_options, extra=extra)
    finally:
        journal.close()


def _tell_end(
    journal: SqliteJournal, run: str, run_options: RunOptions, extra: Mapping[str, Any]
) -> int | None:
    """Tell how a run has ended that another process was asked to cancel.

    Returns:
        The exit code; None if that process stopped before the run had ended.
    """
    if not wait_for_end(journal, run):
        note(f"run {run} will be cancelled when the `once` task that is in flight has ended")
        return Exit.OK
    _, state = load_run(journal, run)
    if state.status not in EXITS:
        return None
    with reserved_stdout() as stream:
        tell_end(
            state,
            stream,
            style=run_options.style,
            quiet=run_options.quiet,
            color=run_options.color,
            extra=extra,
        )
    return EXITS[state.status]
