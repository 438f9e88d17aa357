"""Runs of a journal for people: by status, with those that no one drives told apart.

Reads summaries alone, no events.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

from engine.events import RunStatus
from engine.journal.protocol import Journal
from engine.journal.record import RunSummary
from engine.labels import has_labels

__all__ = ["STATUSES", "ShownStatus", "list_runs", "shown_status"]

#: A run's status, where one that is under way and that no one drives is `interrupted`.
ShownStatus = RunStatus | Literal["interrupted"]

#: All of them, for those who take one from outside.
STATUSES: tuple[ShownStatus, ...] = (*get_args(RunStatus), "interrupted")


def shown_status(summary: RunSummary) -> ShownStatus:
    """The status for people: a run that no process drives was interrupted."""
    if summary.status == "running" and not summary.live:
        return "interrupted"
    return summary.status


def list_runs(
    journal: Journal,
    status: ShownStatus | None,
    limit: int | None,
    labels: Mapping[str, str] | None = None,
) -> list[RunSummary]:
    """Runs, latest first.

    Args:
        status: Only those of this status, which may be `interrupted`.
        limit: The maximum number; None for all.
        labels: Only those that have all of these.
    """
    if labels:
        found = list_runs(journal, status, None)
        return [summary for summary in found if has_labels(summary.labels, labels)][:limit]
    if status != "running" and status != "interrupted":
        return journal.runs(limit, status)
    # The journal knows both as `running`; which it is depends on a live owner.
    found = [s for s in journal.runs(None, "running") if shown_status(s) == status]
    return found[:limit]
