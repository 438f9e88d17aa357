"""Where commands find the journal, and a run in it.

A journal is a folder, or a cluster on which runs are driven (`--on temporal://...`); commands that
only look treat both alike.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TypeVar

import click

from engine.cli.exit_codes import CommandError, Exit
from engine.cli.output import warn
from engine.errors import JournalError, UsageError
from engine.journal import Journal, RunSummary, SqliteJournal
from engine.journal.listing import shown_status
from engine.sema.suggest import closest

__all__ = [
    "DEFAULT_DIRECTORY",
    "command_line",
    "find_run",
    "is_remote",
    "journal_option",
    "open_journal",
    "refuse_live",
    "resume_command",
    "timestamp",
]

_F = TypeVar("_F", bound=Callable[..., Any])

DEFAULT_DIRECTORY = ".orch"


_REMOTE = "temporal://"


def is_remote(directory: str) -> bool:
    """Whether a journal is on a cluster."""
    return directory.startswith(_REMOTE)


def open_journal(directory: str) -> Journal:
    """The journal in a folder, or on a cluster, to be looked at; says whose it is not.

    Raises:
        UsageError: It is not the address of a cluster.
        JournalError: It cannot be read, or the cluster cannot be reached.
    """
    if is_remote(directory):
        # temporalio costs 450 ms to import.
        from engine.distributed.journal import RemoteJournal

        return RemoteJournal(directory)
    journal = SqliteJournal(directory)
    for problem in journal.strange():
        warn(str(problem), help=problem.help)
    return journal


def journal_option(function: _F) -> _F:
    """`--journal DIR` and `--on URL`, as `directory`; `ORCH_JOURNAL` and `ORCH_ON` count too."""
    for option in (
        click.option(
            "--journal",
            "directory",
            metavar="DIR",
            envvar="ORCH_JOURNAL",
            default=DEFAULT_DIRECTORY,
            show_default=True,
            show_envvar=True,
            callback=_place,
            help="The journal's folder.",
        ),
        click.option(
            "--on",
            metavar="URL",
            envvar="ORCH_ON",
            show_envvar=True,
            is_eager=True,
            expose_value=False,
            callback=_cluster,
            help="The cluster that drives the run: temporal://HOST:PORT/NAMESPACE.",
        ),
    ):
        function = option(function)
    return function


def _cluster(ctx: click.Context, option: click.Parameter, url: str | None) -> None:
    if url and not is_remote(url):
        raise click.BadParameter(f"'{url}' does not begin with {_REMOTE}", ctx, option)
    ctx.meta[_REMOTE] = url


def _place(ctx: click.Context, option: click.Parameter, directory: str) -> str:
    url: str | None = ctx.meta.get(_REMOTE)
    if not url:
        return directory
    typed = ctx.get_parameter_source("directory") is click.core.ParameterSource.COMMANDLINE
    if typed and ctx.get_parameter_source("on") is not click.core.ParameterSource.COMMANDLINE:
        return directory  # ORCH_ON is set, and this command is about a folder.
    if typed:
        raise click.UsageError("--journal and --on name two places: give one of them.", ctx)
    return url


def find_run(journal: Journal, name: str) -> str:
    """The id of the run that `name` refers to: an id, the beginning of one, or `last`.

    Raises:
        CommandError: There is none, or more than one.
    """
    try:
        return journal.find(name)
    except UsageError as problem:
        near = closest(name, [summary.run for summary in journal.runs(limit=1000)])
        help = f"did you mean `{near}`?" if near else None
        raise CommandError(str(problem), Exit.USAGE, help=help) from None


def refuse_live(summary: RunSummary, *, help: str) -> None:
    """Refuse to touch a run that another process drives.

    Raises:
        JournalError: One does; `help` says what to do.
    """
    if shown_status(summary) == "running":
        raise JournalError(f"run {summary.run} is being driven by another process", help=help)


def command_line(verb: str, run: str, directory: str, *more: str) -> str:
    """A command line about a run, as a person can paste it into a shell."""
    words = ["orch", verb, run, *map(shlex.quote, more)]
    if is_remote(directory):
        if directory != os.environ.get("ORCH_ON"):
            words += ["--on", shlex.quote(directory)]
    elif directory not in (DEFAULT_DIRECTORY, os.environ.get("ORCH_JOURNAL")):
        words += ["--journal", shlex.quote(directory)]
    return " ".join(words)


def resume_command(run: str, directory: str) -> str:
    """The command line that resumes a run."""
    return command_line("resume", run, directory)


def timestamp(unix_ms: int) -> str:
    """A wall-clock time as ISO 8601, in UTC."""
    return datetime.fromtimestamp(unix_ms / 1000, UTC).isoformat(timespec="milliseconds")
