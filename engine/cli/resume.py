"""`orch resume`: go on with a run that was interrupted, from what its journal holds."""

from __future__ import annotations

import click

from engine import launch
from engine.cli.execute import Manner, carry_out, manner_options
from engine.cli.journals import find_run, journal_option, shown_status
from engine.cli.outcome import EXITS, note, tell_end
from engine.errors import JournalError
from engine.journal import SqliteJournal
from engine.launch import Options
from engine.runtime.state import RunState
from engine.workers.output import reserved_stdout

__all__ = ["command"]


@click.command("resume")
@click.argument("run", metavar="RUN")
@journal_option
@manner_options
def command(
    run: str,
    directory: str,
    models: dict[str, str],
    record_dir: str | None,
    style: str,
    quiet: bool,
    color: str,
) -> int:
    """Go on with RUN: a run's id, the beginning of one, or `last`.

    What has finished is not done again; calls that were in flight are. A run that has ended says
    so and gives its result again. Output and exit codes are those of `orch run`.
    """
    journal = SqliteJournal(directory)
    try:
        found = find_run(journal, run)
        record = journal.record(found)
        extra = {
            "workflow": record.workflow,
            "orchestrator": record.orchestrator,
            "journal": directory,
        }
        if record.status not in ("running", "waiting"):
            if not quiet:
                note(f"run {found} has ended: {record.status}")
            _, state = launch.load_run(journal, found)
            with reserved_stdout() as stream:
                tell_end(state, stream, style=style, quiet=quiet, color=color, extra=extra)
            return EXITS[state.status]
        if shown_status(record) == "running":
            raise JournalError(
                f"run {found} is under way: another process has it in hand",
                help="wait for it to end, or stop that process and resume then",
            )
        manner = Manner(style, quiet, color, models, record_dir, directory)

        async def work(options: Options) -> RunState:
            return await launch.resume(found, journal, options)

        return carry_out(work, manner, extra=extra)
    finally:
        journal.close()
