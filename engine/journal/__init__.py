"""The journal: stores every event of every run, before the event has a visible effect.

Other packages use the protocol `Journal`. `SqliteJournal` keeps a journal in a folder, and
`MemoryJournal` keeps one as long as the object lives.
"""

from engine.journal.inbox import HasInbox, Inbox, Letter, Said, letter_name
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
    "Said",
    "SqliteJournal",
    "journal_directory",
    "letter_name",
]
