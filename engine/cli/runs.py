"""`orch runs`: list the runs in the journal, latest first."""

from __future__ import annotations

import json
import sys
from typing import Any, get_args

import click

from engine.cli.exits import Exit
from engine.cli.journals import journal_option, open_journal, shown_status, timestamp
from engine.cli.options import format_option
from engine.cli.output import screen_width
from engine.cli.wording import age, one_line
from engine.events import RunStatus
from engine.journal import RunSummary

__all__ = ["command"]

_STATUSES = (*get_args(RunStatus), "interrupted")


@click.command("runs")
@click.option(
    "--status", type=click.Choice(_STATUSES), metavar="STATUS", help="Only runs of this status."
)
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    metavar="N",
    help="At most so many.",
)
@format_option("How to show them.")
@journal_option
def command(status: str | None, limit: int, style: str, directory: str) -> int:
    """List the runs in the journal, latest first.

    A run is `interrupted` if it has not ended and no process drives it: `orch resume` goes on
    with it.
    """
    journal = open_journal(directory)
    try:
        found = _chosen(journal.runs, status, limit)
    finally:
        journal.close()
    if style == "json":
        click.echo(json.dumps([_fields(summary) for summary in found], indent=2))
    elif found:
        _table(found)
    else:
        of = f"{status} " if status else ""
        click.echo(f"no {of}runs in {directory}", err=True)
    return Exit.OK


def _chosen(runs: Any, status: str | None, limit: int) -> list[RunSummary]:
    if status not in ("running", "interrupted"):
        found: list[RunSummary] = runs(limit, status)
        return found
    # The journal knows both as `running`; which it is depends on a live owner.
    return [s for s in runs(None, "running") if shown_status(s) == status][:limit]


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
    }


def _table(found: list[RunSummary]) -> None:
    rows = [
        (
            summary.run,
            shown_status(summary),
            age(summary.started_ms),
            one_line(summary.workflow),
            summary.orchestrator,
            summary.bound or one_line(summary.reason),
        )
        for summary in found
    ]
    head = ("run", "status", "started", "workflow", "orchestrator", "why")
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(5)]
    room = max(screen_width(sys.stdout), 40)
    for row in (head, *rows):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        line = "  ".join([*cells, row[5]]).rstrip()
        click.echo(line[: room - 1] if sys.stdout.isatty() else line)
