"""The replay of a run of a journal: with the program it has, and with that of its file as it is.

Calls nothing and writes nothing. `engine.history.replay` does the work for one program.
"""

from __future__ import annotations

import os

import msgspec

from engine.drive.loading import compile_record
from engine.errors import JournalError
from engine.history.current import Comparison, against, current_program, file_of
from engine.history.replay import Replay, replay
from engine.journal import Journal, RunRecord

__all__ = ["WholeReplay", "replay_run"]


class WholeReplay(msgspec.Struct, frozen=True):
    """What replaying a run came to.

    Attributes:
        record: The run.
        events: How many events it has.
        recorded: With the program in the journal.
        path: The file that was compared, for people.
        compared: With the program of that file; None where that is not an other one.
        skipped: Why the file was not looked at, and what to do about it; empty if it was.
    """

    record: RunRecord
    events: int
    recorded: Replay
    path: str
    compared: Comparison | None = None
    skipped: tuple[str, str | None] | None = None

    @property
    def matters_from(self) -> int | None:
        """The first event that something changed has a part in."""
        if self.compared is None:
            return None
        result = self.compared.replay
        places = [result.touched[0]] if result.touched else []
        if result.divergence is not None:
            places.append(result.divergence.seq)
        return min(places, default=None)


def replay_run(journal: Journal, run: str, file: str | None = None) -> WholeReplay:
    """Replay a run.

    Args:
        run: Its id.
        file: The file to compare with; that of the run if None.

    Raises:
        JournalError: The run has no events, or cannot be read.
        CompileError: A program has errors.
        UnreadableFile: The file cannot be read.
        UsageError: The run's params do not fit the file.
    """
    record = journal.record(run)
    events = journal.read(run)
    if not events:
        raise JournalError(f"run {run} has no events: it ended before it began")
    recorded = replay(compile_record(record), events)
    path = os.path.relpath(file_of(record)) if file is None else file
    found = WholeReplay(record, len(events), recorded, path)
    if file is None and not record.trusted:
        # The journal names it, and so it could be any file, which findings would quote.
        skipped = (
            "the file that the run names is left alone: only what is in the journal is replayed",
            "name a file with --file, or trust the journal",
        )
        return msgspec.structs.replace(found, skipped=skipped)
    if file is None and not os.path.exists(file_of(record)):
        words = f"{path} is not there any more: only the program in the journal is replayed"
        return msgspec.structs.replace(found, skipped=(words, None))
    program = current_program(record, file)
    if dict(program.files) == dict(record.files):
        return found
    return msgspec.structs.replace(found, compared=against(record, events, program))
