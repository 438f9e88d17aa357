"""The journal: every event of every run, durable before its effect shows.

`Journal` is what the rest relies on; `SqliteJournal` keeps it in a folder, `MemoryJournal` for
the life of an object.
"""

from engine.journal.inbox import HasInbox, Inbox, Letter, letter_name
from engine.journal.memory import MemoryJournal
from engine.journal.protocol import Journal, Ownership
from engine.journal.record import EarlierProgram, RunRecord, RunSummary
from engine.journal.sqlite import SqliteJournal, journal_directory

__all__ = [
    "EarlierProgram",
    "HasInbox",
    "Inbox",
    "Journal",
    "Letter",
    "MemoryJournal",
    "Ownership",
    "RunRecord",
    "RunSummary",
    "SqliteJournal",
    "journal_directory",
    "letter_name",
]
