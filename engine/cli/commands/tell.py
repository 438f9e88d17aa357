"""`orch tell`: give a note to the planner of a run, wherever the run is driven."""

from __future__ import annotations

import asyncio
import sys

import click

from engine.cli import complete
from engine.cli.answer_gate import who
from engine.cli.end_report import note as say
from engine.cli.exit_codes import CommandError, Exit
from engine.cli.journals import find_run, is_remote, journal_option
from engine.cli.options import utf8
from engine.drive.telling import MAX_NOTE_BYTES, Words, tell
from engine.errors import InputError
from engine.journal import SqliteJournal
from engine.runtime.notes import NotTaken
from engine.sizes import size_words

__all__ = ["command"]


@click.command("tell")
@click.argument("run", metavar="RUN", shell_complete=complete.runs)
@click.argument("note", metavar="NOTE", callback=utf8)
@click.option(
    "--to",
    default="",
    metavar="TASK",
    callback=utf8,
    help="The task whose orchestrator gets the note: its id, or its key.",
)
@click.option("--by", metavar="NAME", callback=utf8, help="Who says it; you by default.")
@click.option("-q", "--quiet", is_flag=True, help="Print nothing if the note is accepted.")
@journal_option
def command(run: str, note: str, to: str, by: str | None, quiet: bool, directory: str) -> int:
    """Tell the planner of RUN something: it reads NOTE with its next decision.

    RUN is a run's id, the beginning of one, or `last`; it may be driven by another process, wait,
    or have been interrupted. A NOTE of `-` is read from standard input. The goal stays as it is.

    Exit codes: 0 the note is in the journal; 2 there is no such run or task; 3 the run has ended or
    is in its last decision, or another process is driving it and does not answer.
    """
    words = Words(_from_stdin() if note == "-" else note, to, who(by))
    try:
        found = _tell(run, words, directory)
    except NotTaken as error:
        raise CommandError(str(error), Exit.UNREADABLE) from None
    if not quiet:
        say(f"noted; the planner of run {found} reads it with its next decision")
    return Exit.OK


def _from_stdin() -> str:
    """The note on standard input.

    Raises:
        InputError: It is not UTF-8, or too long.
    """
    data = b"" if sys.stdin is None else sys.stdin.buffer.read(MAX_NOTE_BYTES + 1)
    if len(data) > MAX_NOTE_BYTES:
        raise InputError([f"the note takes more than {size_words(MAX_NOTE_BYTES)}"])
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise InputError(["the note on standard input is not UTF-8"]) from None


def _tell(run: str, words: Words, directory: str) -> str:
    """Give a note to a run; returns its id."""
    if is_remote(directory):
        # temporalio costs 450 ms to import.
        from engine.cli.remote import tell_there

        return tell_there(run, words, directory)
    with SqliteJournal(directory) as journal:
        found = find_run(journal, run)
        asyncio.run(tell(found, journal, words))
        return found
