"""`orch resume`: resume a run from its journal.

As it was interrupted; with the program that its file holds now (`--upgrade`); from an earlier
event, as a run of its own (`--from`); or after its end (`--retry-failed`).
"""

from __future__ import annotations

from collections.abc import Sequence

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
from engine.history.fork_and_retry import Diverged, Move, NotRetried
from engine.history.seen_failures import SeenFailures, seen_failures
from engine.journal import RunRecord, SqliteJournal
from engine.runtime.state import RunState
from engine.workers.output import reserved_stdout

__all__ = ["command"]

#: Of how many rounds it is told how their failures can be retried.
_TOLD = 3


@click.command("resume")
@click.argument("run", metavar="RUN", shell_complete=complete.runs)
@click.option("--upgrade", is_flag=True, help="Resume with the current program of the file.")
@click.option(
    "--keep-results",
    is_flag=True,
    help="With --upgrade: accept answers to requests that are worded differently now.",
)
@click.option(
    "--retry-failed", is_flag=True, help="Retry what failed and no later decision has used."
)
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
    _check_options(upgrade, keep_results, seq, allow_effects)
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
                    found,
                    seq,
                    journal,
                    options,
                    move=move,
                    allow_effects=allow_effects,
                    retry=retry_failed,
                )
            if retry_failed:
                return await again.retry_failed(found, journal, options, move)
            if upgrade:
                return await again.upgrade(found, journal, options, keep_results=keep_results)
            return await launch.resume(found, journal, options)

        if retry_failed and seq is None and not quiet:
            _tell_not_retried(journal, record, directory)
        try:
            return carry_out(work, run_options, extra=extra)
        except Diverged as problem:
            raise _refused(problem, directory, seq, move) from None
        except NotRetried as problem:
            told = record.status != "finished" and not quiet
            ways = [] if told else _ways(record.run, problem.seen, directory)
            raise CommandError(str(problem), Exit.USAGE, help="; ".join(ways) or None) from None
    finally:
        journal.close()


def _check_options(upgrade: bool, keep_results: bool, seq: int | None, allow_effects: bool) -> None:
    if allow_effects and seq is None:
        raise click.UsageError("--allow-effects goes with --from.")
    if keep_results and not upgrade:
        raise click.UsageError("--keep-results goes with --upgrade.")


def _tell_not_retried(journal: SqliteJournal, record: RunRecord, directory: str) -> None:
    """Say which failures of a run stay as they are, because its planner has planned since."""
    if record.status in ("running", "waiting", "finished"):
        return  # it is refused
    _, state = load_run(journal, record.run)
    seen = seen_failures(state, journal.read(record.run))
    for one, way in zip(seen, _ways(record.run, seen, directory), strict=False):
        note(f"not retried, because the planner decided after it saw them: {one.text()}")
        note(f"  {way}")


def _ways(run: str, seen: Sequence[SeenFailures], directory: str) -> list[str]:
    """How the failures of rounds can be retried that a planner has seen; for the latest few."""
    return [
        f"a fork retries those of round {one.round} and keeps what was done by then: "
        + command_line("resume", run, directory, "--from", str(one.seq), "--retry-failed")
        for one in seen[:_TOLD]
    ]


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


def _refused(problem: Diverged, directory: str, seq: int | None, move: Move) -> CommandError:
    at = problem.divergence
    ways = []
    given = ["--upgrade", "--keep-results"] if move.keep_results else ["--upgrade"]
    if at.kind == "request":
        ways.append("--keep-results resumes it anyway")
    if at.seq > 1 and (seq is None or at.seq <= seq):
        fork = command_line("resume", problem.run, directory, "--from", str(at.seq - 1), *given)
        ways.append(f"a fork from before it: {fork}")
    said = f"{problem}\n  it had:       {at.has}\n  it would be:  {at.expected}"
    return CommandError(said, Exit.FINDINGS, help="; ".join(ways) or None)
