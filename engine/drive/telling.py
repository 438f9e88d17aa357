"""Tells a planner something: a person's note, on its way into a run, wherever that is driven.

A run that another process drives gets the note by letter; one that this process drives hears it in
its drive. Of a run that waits or was interrupted, the note goes straight into the journal, and the
run stays as it is: it is read when the run continues. Decides nothing: `engine.runtime.notes` says
which notes are refused.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from engine import clock
from engine.drive.active import enter, is_driven_here
from engine.drive.answers import refuse_secrets
from engine.drive.guard import redactor_of
from engine.drive.inbox import hand_over
from engine.drive.loading import Loaded, load, load_on
from engine.errors import UsageError
from engine.events import NoteGiven
from engine.journal import Journal, letter_name
from engine.runtime import notes
from engine.runtime.state import RunState
from engine.sizes import size_words

__all__ = ["MAX_NOTE_BYTES", "Words", "event_of", "tell"]

#: What a note may take, in bytes of UTF-8: it is in every prompt from then on.
MAX_NOTE_BYTES = 16 * 1024


@dataclass
class Words:
    """What a person says to a planner.

    Attributes:
        note: The words.
        to: The key or id of the task whose orchestrator is meant; "" for the root's.
        by: Who says it.
    """

    note: str
    to: str = ""
    by: str = ""


async def tell(run: str, journal: Journal, words: Words) -> None:
    """Give a note to a run; it is in the journal on return.

    Args:
        run: The run's id.

    Raises:
        NotTaken: The run takes no note any more.
        UsageError: There is no such task, or the note itself is refused.
        JournalError: The process that drives the run does not answer, or the journal failed.
    """
    record = journal.record(run)
    seen: Loaded | None = None
    if record.status not in ("running", "waiting"):
        raise notes.NotTaken(f"run {run} has ended ({record.status}) and takes no note")
    if record.live and not is_driven_here(journal, run):
        seen = load(journal, record)
        fate = await asyncio.to_thread(hand_over, journal, seen, event_of(seen.state, words))
        if fate == "taken":
            return
        if fate == "refused":
            raise notes.NotTaken(f"run {run} has come to its last decision and takes no note")
    await _tell_here(run, journal, words, seen)


async def _tell_here(run: str, journal: Journal, words: Words, seen: Loaded | None) -> None:
    while True:
        drive, is_new = enter(journal, run)
        if is_new:
            with drive:
                owned = drive.own(await journal.claim(run))
                state = load_on(journal, run, seen).state
                await owned.append([event_of(state, words)])
                return
        came_to = await drive.join(lambda state: event_of(state, words), until_taken=True)
        if came_to.taken:
            return
        # It was interrupted, or ended before it could hear: as if the call had come after it.


def event_of(state: RunState, words: Words) -> NoteGiven:
    """The event of a note, once it is certain that the run takes it.

    Raises:
        NotTaken: It does not (any more).
        UsageError: There is no such task; or the note is empty, too long, or holds a secret.
    """
    parts = {"the note": words.note, "the name of who says it": words.by}
    refuse_secrets(parts, redactor_of(state.program))
    if not words.note.strip():
        raise UsageError("the note is empty")
    if len(words.note.encode()) > MAX_NOTE_BYTES:
        raise UsageError(f"the note takes more than {size_words(MAX_NOTE_BYTES)}")
    task = notes.target(state, words.to)
    notes.check(state, task)
    return NoteGiven(
        at=state.now,
        note=words.note,
        task=task,
        by=words.by,
        wall_ms=clock.wall_ms(),
        letter=letter_name(state.run),
    )
