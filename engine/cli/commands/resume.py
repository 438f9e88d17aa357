"""`orch resume`: resume a run from its journal.

As it was interrupted; with the program that its file holds now (`--upgrade`); from an earlier
event, as a run of its own (`--from`); or after its end (`--retry-failed`).
"""

from __future__ import annotations

import click

from engine.cli import complete
from engine.cli.drive_run import RunOptions, carry_out, with_run_options
from engine.cli.end_report import EXITS, note, tell_end
from engine.cli.exit_codes import CommandError, Exit
from engine.cli.journals import (
    command_line,
    find_run,
    is_remote,
    journal_option,
    refuse_live,
)
from engine.drive import launch
from engine.drive.launch import Options
from engine.drive.loading import load_run
from engine.history import fork_and_retry as again
from engine.history.fork_and_retry import Diverged, Move
from engine.journal import RunRecord, SqliteJournal
from engine.runtime.state import RunState
from engine.workers.output import reserved_stdout

__all__ = ["command"]


@click.command("resume")
@click.argument("run", metavar="RUN", shell_complete=complete.runs)
@click.option("--upgrade", is_flag=True, help="Resume with the current program of the file.")
@click.option(
    "--keep-results",
    is_flag=True,
    help="With --upgrade: accept answers to requests that are worded differently now.",
)
@click.option("--retry-failed", is_flag=True, help="Retry the last round of an ended run.")
@click.option(
    "--from",
    "seq",
    type=int,
    metavar="SEQ",
    help="Start a new run with the events up to this number.",
)
@click.option(
    "--allow-effects",
    is_flag=True,
    help="With --from: repeat outside effects of RUN after SEQ without asking.",
)
@journal_option
@with_run_options
def command(
    run: str,
    upgrade: bool,
    keep_results: bool,
    retry_failed: bool,
    seq: int | None,
    allow_effects: bool,
    directory: str,
    models: dict[str, str],
    record_dir: str | None,
    style: str,
    full: bool,
    quiet: bool,
    color: str,
) -> int:
    """Resume RUN: a run's id, the beginning of one, or `last`.

    Finished calls are not repeated; calls that were in flight are. If the run has ended, its result
    is printed again. Output and exit codes are those of `orch run`; 1 also means that --upgrade was
    refused because the journal does not fit the changed program.
    """
    _check_options(upgrade, keep_results, retry_failed, seq, allow_effects)
    run_options = RunOptions(style, quiet, color, models, record_dir, directory, full)
    if is_remote(directory):
        if upgrade or retry_failed or seq is not None:
            raise click.UsageError("a run on a cluster keeps its program; it can only be followed")
        # temporalio costs 450 ms to import.
        from engine.cli.remote import follow_there

        return follow_there(run, run_options)
    move = Move(upgrade, keep_results)
    journal = SqliteJournal(directory)
    try:
        found = find_run(journal, run)
        record = journal.record(found)
        extra = {
            "workflow": record.workflow,
            "orchestrator": record.orchestrator,
            "journal": directory,
        }
        if seq is None:
            if record.status not in ("running", "waiting") and not retry_failed and not upgrade:
                return _tell_again(journal, record, run_options, extra)
            refuse_live(record, help="wait for it to end, or stop that process and resume then")

        async def work(options: Options) -> RunState:
            if seq is not None:
                return await again.fork(
                    found, seq, journal, options, move=move, allow_effects=allow_effects
                )
            if retry_failed:
                return await again.retry_failed(found, journal, options, move)
            if upgrade:
                return await again.upgrade(found, journal, options, keep_results=keep_results)
            return await launch.resume(found, journal, options)

        try:
            return carry_out(work, run_options, extra=extra)
        except Diverged as problem:
            raise _refused(problem, directory, seq) from None
    finally:
        journal.close()


def _check_options(
    upgrade: bool, keep_results: bool, retry_failed: bool, seq: int | None, allow_effects: bool
) -> None:
    if retry_failed and seq is not None:
        raise click.UsageError("--retry-failed and --from cannot be used together")
    if allow_effects and seq is None:
        raise click.UsageError("--allow-effects goes with --from.")
    if keep_results and not upgrade:
        raise click.UsageError("--keep-results goes with --upgrade.")


def _tell_again(
    journal: SqliteJournal,
    record: RunRecord,
    run_options: RunOptions,
    extra: dict[str, str],
) -> int:
    """Give the result of a run that has ended once more."""
    if not run_options.quiet:
        note(f"run {record.run} has ended: {record.status}")
    _, state = load_run(journal, record.run)
    with reserved_stdout() as stream:
        tell_end(
            state,
            stream,
            style=run_options.style,
            quiet=run_options.quiet,
            color=run_options.color,
            full=run_options.full,
            extra=extra,
        )
    return EXITS[state.status]


def _refused(problem: Diverged, directory: str, seq: int | None) -> CommandError:
    at = problem.divergence
    ways = []
    if at.kind == "request":
        ways.append("--keep-results resumes it anyway")
    if at.seq > 1 and (seq is None or at.seq <= seq):
        fork = command_line(
            "resume", problem.run, directory, "--from", str(at.seq - 1), "--upgrade"
        )
        ways.append(f"a fork from before it: {fork}")
    said = f"{problem}\n  it had:       {at.has}\n  it would be:  {at.expected}"
    return CommandError(said, Exit.FINDINGS, help="; ".join(ways) or None)
