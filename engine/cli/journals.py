"""Where commands find the journal, and a run in it."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import click

from engine.cli.exits import CommandError, Exit
from engine.errors import UsageError
from engine.journal import Journal, RunSummary
from engine.sema.suggest import closest

__all__ = [
    "DEFAULT_DIRECTORY",
    "command_line",
    "find_run",
    "journal_option",
    "resume_command",
    "shown_status",
    "timestamp",
]

_F = TypeVar("_F", bound=Callable[..., Any])

DEFAULT_DIRECTORY = ".orch"


def journal_option(function: _F) -> _F:
    """`--journal DIR`, as `directory`; `ORCH_JOURNAL` counts without it."""
    return click.option(
        "--journal",
        "directory",
        metavar="DIR",
        envvar="ORCH_JOURNAL",
        default=DEFAULT_DIRECTORY,
        show_default=True,
        show_envvar=True,
        help="The journal's folder.",
    )(function)


def find_run(journal: Journal, name: str) -> str:
    """The id of the run that `name` stands for: an id, the beginning of one, or `last`.

    Raises:
        CommandError: There is none, or more than one.
    """
    try:
        return journal.find(name)
    except UsageError as problem:
        near = closest(name, [summary.run for summary in journal.runs(limit=1000)])
        help = f"did you mean `{near}`?" if near else None
        raise CommandError(str(problem), Exit.USAGE, help=help) from None


def shown_status(summary: RunSummary) -> str:
    """The status for people: a run that nobody drives any more was interrupted."""
    if summary.status == "running" and not summary.live:
        return "interrupted"
    return summary.status


def command_line(verb: str, run: str, directory: str, *more: str) -> str:
    """A command line about a run, as a person can paste it into a shell."""
    words = ["orch", verb, run, *map(shlex.quote, more)]
    if directory not in (DEFAULT_DIRECTORY, os.environ.get("ORCH_JOURNAL")):
        words += ["--journal", shlex.quote(directory)]
    return " ".join(words)


def resume_command(run: str, directory: str) -> str:
    """The command line that goes on with a run."""
    return command_line("resume", run, directory)


def timestamp(unix_ms: int) -> str:
    """A wall-clock time as ISO 8601, in UTC."""
    return datetime.fromtimestamp(unix_ms / 1000, UTC).isoformat(timespec="milliseconds")
