"""The inbox of a journal: letters to runs that another process drives.

Only the process that drives a run may write its events. Whoever answers a gate of it, cancels it,
or tells its planner something, meanwhile leaves a letter: one file in the folder `inbox`, which
holds the event. Its name goes through three states, each reached by one atomic step, so no letter
is lost and none counts twice:

    RUN.STAMP.json     posted, durable; whoever posted it may still take it back
    RUN.STAMP.taken    the driving process has it, and is about to journal its event
    (gone)             its event is in the journal, or it was refused

Knows nothing of gates; `engine.drive.inbox` says what is refused, and tells the sender the
outcome.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import secrets
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Protocol, runtime_checkable

import msgspec

from engine import clock
from engine.errors import JournalError
from engine.events import CancelRequested, GateAnswered, NoteGiven, decode_event, encode_event
from engine.reading import open_plain, read_plain

__all__ = ["HasInbox", "Inbox", "Letter", "Said", "letter_name"]

#: How often a process that drives runs looks into the inbox, in seconds: one listing of a folder
#: that is mostly not there, however many runs it drives.
LOOK_S = 0.25

#: Of a longer letter only so much is read, which is then none.
_MAX_LETTER_BYTES = 64 * 1024 * 1024

_POSTED = ".json"
_TAKEN = ".taken"


#: What people say to a run.
Said = GateAnswered | NoteGiven | CancelRequested


class Letter(msgspec.Struct, frozen=True):
    """An event for a run, from outside. `event.letter` is the letter's name."""

    run: str
    event: Said

    @property
    def name(self) -> str:
        """Its name, which no other has; those of one run sort by time."""
        return self.event.letter


def letter_name(run: str) -> str:
    """A new letter's name. What is said within a process has one too, but no file."""
    return f"{run}.{clock.wall_ns():020d}-{secrets.token_hex(4)}"


@runtime_checkable
class HasInbox(Protocol):
    """A journal that other processes can reach."""

    inbox: Inbox

    def is_held(self, run: str) -> bool:
        """Whether a process that is alive may write the database that a run lives in."""
        ...


class Inbox:
    """The inbox in a journal's folder. It is made when the first letter is posted.

    Args:
        directory: The journal's folder.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._folder = directory / "inbox"
        self._watches: dict[asyncio.AbstractEventLoop, _Watch] = {}

    # ------------------------------------------------------------ who writes letters

    def post(self, run: str, event: Said) -> Letter:
        """Leave a letter. It is durable on return.

        Raises:
            JournalError: It cannot be written.
        """
        name = letter_name(run)
        letter = Letter(run, msgspec.structs.replace(event, letter=name))
        draft = self._folder / f".{name}"
        try:
            mode = os.stat(self._directory).st_mode & 0o7777
            with contextlib.suppress(FileExistsError):
                self._folder.mkdir()
                self._folder.chmod(mode)  # who may write the journal may write letters
            if not self._is_folder():
                raise NotADirectoryError(errno.ENOTDIR, "it is not a folder, or a link to one")
            descriptor = open_plain(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode & 0o666)
            with open(descriptor, "wb") as file:
                file.write(encode_event(letter.event))
                file.flush()
                os.fsync(descriptor)
            draft.rename(self._folder / (name + _POSTED))
            _sync(self._folder)
        except OSError as error:
            with contextlib.suppress(OSError):
                draft.unlink()
            raise JournalError(
                f"the answer cannot be handed over: {self._folder}: {error.strerror}",
                help="answer as a user who may write the journal",
            ) from None
        return letter

    def holds(self, letter: Letter) -> bool:
        """Whether a letter is there still: not refused, and not in the journal."""
        return any((self._folder / (letter.name + state)).exists() for state in (_POSTED, _TAKEN))

    def take_back(self, letter: Letter) -> bool:
        """Take a letter back, unless the driving process has it already."""
        return self._unlink(letter.name + _POSTED)

    # ------------------------------------------------------------ who reads them

    def letters(self, run: str) -> list[Letter]:
        """The letters to a run, the oldest first; also those that a dead process had taken."""
        found = [self._read(name) for name in self._names() if _run_of(name) == run]
        return [letter for letter in found if letter is not None]

    def attend(self, run: str, take: Callable[[Letter], None]) -> Callable[[], None]:
        """Hand each letter to a run to `take`, on this event loop, until the result is called."""
        loop = asyncio.get_running_loop()
        watch = self._watches.get(loop)
        if watch is None:
            watch = self._watches[loop] = _Watch(self, loop)
        watch.takers[run] = take

        def leave() -> None:
            if watch.takers.get(run) is take:
                del watch.takers[run]
            if not watch.takers and self._watches.get(loop) is watch:
                watch.handle.cancel()
                del self._watches[loop]

        return leave

    def claim(self, letter: Letter) -> bool:
        """Make a letter this process's; False if it has been taken back meanwhile."""
        try:
            os.rename(self._folder / (letter.name + _POSTED), self._folder / (letter.name + _TAKEN))
        except OSError:
            return False
        return True

    def remove(self, letter: Letter) -> None:
        """Throw a letter away: its event is in the journal, or it is refused."""
        self._unlink(letter.name + _TAKEN)
        self._unlink(letter.name + _POSTED)

    def posted(self) -> list[str]:
        """The names of the files of letters that no one has taken, the oldest of a run first."""
        return [name for name in self._names() if name.endswith(_POSTED)]

    def _is_folder(self) -> bool:
        """Whether the inbox is there, and no link: letters would be written elsewhere."""
        try:
            return stat.S_ISDIR(os.lstat(self._folder).st_mode)
        except OSError:
            return False

    def _names(self) -> list[str]:
        if not self._is_folder():
            return []
        try:
            return sorted(
                name for name in os.listdir(self._folder) if name.endswith((_POSTED, _TAKEN))
            )
        except OSError:
            return []

    def _read(self, name: str) -> Letter | None:
        try:
            event = decode_event(read_plain(self._folder / name, _MAX_LETTER_BYTES))
        except FileNotFoundError:
            return None
        except (OSError, msgspec.MsgspecError):
            event = None
        if isinstance(event, (GateAnswered, NoteGiven, CancelRequested)) and (
            event.letter == _stem(name)
        ):
            return Letter(_run_of(name), event)
        # Not our letter: move it out of the way, but keep it.
        with contextlib.suppress(OSError):
            (self._folder / name).rename(self._folder / f"{name}.unreadable")
        return None

    def _unlink(self, name: str) -> bool:
        try:
            os.unlink(self._folder / name)
        except OSError:
            return False
        return True


class _Watch:
    """Looks into the inbox now and then, for all runs that one event loop drives."""

    def __init__(self, inbox: Inbox, loop: asyncio.AbstractEventLoop) -> None:
        self.takers: dict[str, Callable[[Letter], None]] = {}
        self._inbox = inbox
        self._loop = loop
        self.handle = loop.call_later(LOOK_S, self._look)

    def _look(self) -> None:
        self.handle = self._loop.call_later(LOOK_S, self._look)
        for name in self._inbox.posted():
            take = self.takers.get(_run_of(name))
            if take is not None:
                letter = self._inbox._read(name)
                if letter is not None and self._inbox.claim(letter):
                    take(letter)


def _stem(name: str) -> str:
    return name.rpartition(".")[0]


def _run_of(name: str) -> str:
    return _stem(_stem(name))


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
