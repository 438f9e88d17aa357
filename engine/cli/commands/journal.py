"""`orch journal`: what is about a journal's folder and not a run in it; `trust` takes one over."""

from __future__ import annotations

import click

from engine.cli.exit_codes import Exit
from engine.cli.format_values import count
from engine.cli.journals import is_remote
from engine.cli.output import echo
from engine.errors import UsageError
from engine.journal import journal_directory
from engine.journal.vouching import take_over

__all__ = ["command"]


@click.group("journal")
def command() -> None:
    """Manage the trust in journals."""


@command.command("trust")
@click.argument("directory", metavar="[DIR]", required=False)
def trust(directory: str | None) -> int:
    """Trust the journal in DIR on this machine.

    Without DIR, the journal is that of other commands: ORCH_JOURNAL, or else .orch. A journal runs
    programs when it is resumed, so look at what it holds first: `orch runs`, `orch show`.

    Exit codes: 0 it is yours; 2 usage; 3 there is none, it cannot be written, or another process
    writes it.
    """
    if directory is not None and is_remote(directory):
        raise UsageError("a cluster's journal is not a folder; there is nothing to trust")
    folder = journal_directory(directory)
    databases = take_over(folder)
    echo(f"trusted: {folder} ({count(len(databases), 'database')})", err=True)
    return Exit.OK
