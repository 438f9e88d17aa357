"""`orch runs`: list the runs in the journal, latest first; `rm` and `prune` take some out of it."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from engine import clock
from engine.cli import complete
from engine.cli.cost_table import tell_costs
from engine.cli.exit_codes import CommandError, Exit
from engine.cli.format_values import age, count, one_line
from engine.cli.journals import (
    find_run,
    is_remote,
    journal_option,
    open_journal,
    refuse_live,
    timestamp,
)
from engine.cli.options import format_option, label_option
from engine.cli.output import echo, screen_width, warn
from engine.errors import UsageError
from engine.history.costs import GROUPS, Group
from engine.journal import RunSummary, SqliteJournal
from engine.journal.listing import STATUSES, ShownStatus, list_runs, shown_status
from engine.journal.removal import remove_runs
from engine.journal.storage import log_damaged
from engine.labels import label_text

__all__ = ["command"]


@click.group("runs", invoke_without_command=True)
@click.option(
    "--status", type=click.Choice(STATUSES), metavar="STATUS", help="Only runs with this status."
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    metavar="N",
    help="Show at most N.",
)
@click.option("--cost", "costs", is_flag=True, help="Show what the runs cost instead; all of them.")
@click.option(
    "--by",
    type=click.Choice(GROUPS),
    metavar="GROUP",
    help="With --cost: sum up by run, day (UTC), workflow, label or model.  [default: run]",
)
@label_option("Only runs with this label; may be given several times.")
@format_option("How to show them.")
@journal_option
@click.pass_context
def command(
    ctx: click.Context,
    status: ShownStatus | None,
    limit: int,
    costs: bool,
    by: Group | None,
    labels: dict[str, str],
    style: str,
    directory: str,
) -> int | None:
    """List the runs in the journal, latest first.

    A run is `interrupted` if it has not ended and no process drives it: `orch resume` continues
    with it. With --cost, what the runs cost is summed up from their journals; --limit applies
    only where it is given.
    """
    if ctx.invoked_subcommand is not None:
        return None
    if by is not None and not costs:
        raise click.UsageError("--by needs --cost.")
    journal = open_journal(directory)
    try:
        if costs:
            is_given = ctx.get_parameter_source("limit") is not ParameterSource.DEFAULT
            chosen = list_runs(journal, status, limit if is_given else None, labels)
            tell_costs(journal, chosen, by or "run", style)
            return Exit.OK
        found = list_runs(journal, status, limit, labels)
        damaged = journal.damaged_logs() if isinstance(journal, SqliteJournal) else []
    finally:
        journal.close()
    if style == "json":
        echo(json.dumps([_fields(summary) for summary in found], indent=2))
    elif found:
        _table(found)
    else:
        of = f"{status} " if status else ""
        labelled = f" with {label_text(labels)}" if labels else ""
        echo(f"no {of}runs{labelled} in {directory}", err=True)
    for path in damaged:
        warn(
            log_damaged(path),
            help="runs may be missing here",
        )
    return Exit.OK


def _fields(summary: RunSummary) -> dict[str, Any]:
    return {
        "run": summary.run,
        "status": shown_status(summary),
        "workflow": summary.workflow,
        "orchestrator": summary.orchestrator,
        "started": timestamp(summary.started_ms),
        "ended": None if summary.ended_ms is None else timestamp(summary.ended_ms),
        "bound": summary.bound,
        "reason": summary.reason,
        "parent": summary.parent,
        "parent_seq": summary.parent_seq,
        "labels": dict(summary.labels),
    }


def _why(summary: RunSummary) -> str:
    why = summary.bound or one_line(summary.reason)
    if summary.labels:
        labels = label_text(summary.labels)
        why = f"{labels}; {why}" if why else labels
    if summary.parent is None:
        return why
    fork = f"fork of {summary.parent} at {summary.parent_seq}"
    return f"{fork}; {why}" if why else fork


def _table(found: list[RunSummary]) -> None:
    rows = [
        (
            summary.run,
            shown_status(summary),
            age(summary.started_ms),
            one_line(summary.workflow),
            summary.orchestrator,
            _why(summary),
        )
        for summary in found
    ]
    head = ("run", "status", "started", "workflow", "orchestrator", "why")
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(5)]
    room = max(screen_width(sys.stdout), 40)
    for row in (head, *rows):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        line = "  ".join([*cells, row[5]]).rstrip()
        echo(line[: room - 1] if sys.stdout.isatty() else line)


_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}


def _seconds(ctx: click.Context, option: click.Parameter, text: str | None) -> float | None:
    """`30d` in seconds; a click callback."""
    if text is None:
        return None
    number, unit = text[:-1], text[-1:]
    if unit not in _UNITS or not number.isdecimal():
        raise click.BadParameter(f"'{text}' is not an age such as 30d, 12h or 90m.", ctx, option)
    return int(number) * _UNITS[unit]


def _statuses(ctx: click.Context, option: click.Parameter, text: str | None) -> tuple[str, ...]:
    """`finished,failed` as statuses; a click callback."""
    names = tuple(name.strip() for name in (text or "").split(",") if name.strip())
    for name in names:
        if name not in STATUSES:
            known = ", ".join(STATUSES)
            raise click.BadParameter(f"'{name}' is not a status (there are: {known}).", ctx, option)
    return names


@command.command("rm")
@click.argument("names", metavar="RUN...", nargs=-1, required=True, shell_complete=complete.runs)
@click.option("--force", is_flag=True, help="Also runs that wait or were interrupted.")
@journal_option
def remove(names: tuple[str, ...], force: bool, directory: str) -> int:
    """Remove runs permanently, and free the disk space.

    Data that only these runs use is removed too. A run that waits for a person, or was interrupted
    and could be resumed, is removed only with --force. A run that a process is driving is never
    removed. If one of the runs cannot be removed, none is.

    Exit codes: 0 removed; 2 a run does not exist, or has not ended; 3 the journal cannot be
    written, or another process writes it.
    """
    journal = _local(directory)
    try:
        found = list(dict.fromkeys(find_run(journal, name) for name in names))
        records = [journal.record(run) for run in found]
    finally:
        journal.close()
    for record in records:
        _check_removable(record, force)
    _remove(directory, found)
    return Exit.OK


@command.command("prune")
@click.option(
    "--older-than",
    "age_s",
    metavar="AGE",
    callback=_seconds,
    help="Only runs that ended at least this long ago: 30d, 12h, 90m.",
)
@click.option("--keep", type=click.IntRange(min=0), metavar="N", help="Keep the N latest.")
@click.option(
    "--status",
    "statuses",
    metavar="STATUS,...",
    callback=_statuses,
    help="Only runs with one of these statuses.  [default: all that have ended]",
)
@click.option("--force", is_flag=True, help="Also runs that wait or were interrupted.")
@click.option("--dry-run", is_flag=True, help="Only list the runs that would be removed.")
@journal_option
def prune(
    age_s: float | None,
    keep: int | None,
    statuses: tuple[str, ...],
    force: bool,
    dry_run: bool,
    directory: str,
) -> int:
    """Remove ended runs by age, number or status.

    Only runs that match all given filters are removed. --force also removes runs that wait or were
    interrupted. A run that a process is driving is never removed.

    Exit codes: 0 removed, or nothing to remove; 2 usage; 3 the journal cannot be written, or
    another process writes it.
    """
    if age_s is None and keep is None and not statuses:
        raise click.UsageError("say which runs: --older-than, --keep or --status.")
    journal = _local(directory)
    try:
        runs = journal.runs()
    finally:
        journal.close()
    over = [
        summary
        for summary in runs
        if summary.trusted
        and (not statuses or shown_status(summary) in statuses)
        and (force or summary.status not in ("running", "waiting"))
        and not summary.live
    ]
    now_ms = clock.wall_ms()
    chosen = [
        summary
        for summary in over[keep or 0 :]
        if age_s is None or now_ms - (summary.ended_ms or summary.started_ms) >= age_s * 1000
    ]
    for summary in chosen:
        echo(f"{summary.run}  {shown_status(summary)}  {age(summary.started_ms)}")
    if dry_run or not chosen:
        what = "would be removed" if dry_run and chosen else "to remove"
        echo(f"{count(len(chosen), 'run') if chosen else 'nothing'} {what}", err=True)
        return Exit.OK
    _remove(directory, [summary.run for summary in chosen])
    return Exit.OK


def _local(directory: str) -> SqliteJournal:
    if is_remote(directory):
        raise UsageError("a cluster keeps its runs by its own retention; nothing is removed here")
    return SqliteJournal(directory)


def _check_removable(record: RunSummary, force: bool) -> None:
    refuse_live(record, help="wait for it to end, or stop it")
    status = shown_status(record)
    if status in ("waiting", "interrupted") and not force:
        said = "waits for a person" if status == "waiting" else "was interrupted"
        raise CommandError(
            f"run {record.run} {said} and can be resumed", Exit.USAGE, help="--force removes it"
        )


def _remove(directory: str, runs: list[str]) -> None:
    removed = remove_runs(Path(directory), runs)
    echo(f"{count(len(runs), 'run')} removed, {removed.freed / 1024:.0f} KiB freed", err=True)
    if removed.unshrunk:
        warn(
            f"a database keeps its size, because it could not be rewritten: {removed.unshrunk}",
            help="later runs use the free space in it; to shrink it, free some disk space and "
            "remove another run",
        )
