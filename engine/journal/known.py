"""What this user has made, or trusts, on this machine: a note for each in the state folder.

A database holds a random token, and the state folder a note under that token: where the database
lay, which file it was, whose. Only who can write the notes can make a database that has one, so a
journal that came with another person's repository has none. A second file next to the
note says that a process has the database open, and may leave a log behind.

The state folder is `$XDG_STATE_HOME/orch`, else `~/.local/state/orch`. Where it cannot be written,
notes last as long as the process. What follows from a missing note is `engine.journal.trust`'s.
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path

import msgspec

from engine import clock
from engine.reading import read_plain

__all__ = ["Note", "Notes", "new_token", "state_folder"]

#: A note whose file is gone is dropped after so many days without use.
_KEEP_DAYS = 90
_MAX_NOTE_BYTES = 100_000
_OPEN = ".open"

#: Tokens of what this process has made; they hold where no note can be written.
_made: set[str] = set()
#: Those of them that it has open.
_opened: set[str] = set()


class Note(msgspec.Struct, frozen=True):
    """A file or folder as it was when it was noted.

    Attributes:
        path: Its path, links resolved; bytes that are not UTF-8 are escaped.
        inode: Its number in its file system; it keeps that when it is moved.
        uid: Whose it was.
    """

    path: str
    inode: int
    uid: int

    @classmethod
    def of(cls, path: Path) -> Note:
        """The note of a file as it is now; raises OSError."""
        found = os.lstat(path)
        name = os.fsencode(os.path.realpath(path)).decode(errors="backslashreplace")
        return cls(name, found.st_ino, found.st_uid)


def state_folder(env: Mapping[str, str] = os.environ) -> Path | None:
    """Where this user's notes are; None where there is no home folder."""
    chosen = env.get("XDG_STATE_HOME", "")
    if os.path.isabs(chosen):  # a relative one counts for nothing, says the specification
        return Path(chosen, "orch")
    home = os.path.expanduser("~")
    is_there = os.path.isabs(home) and os.path.isdir(home)
    return Path(home, ".local", "state", "orch") if is_there else None


class Notes:
    """The notes in a state folder.

    Args:
        folder: The state folder; None for none.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = None if folder is None else folder / "journals"

    @property
    def is_usable(self) -> bool:
        """Whether notes can be written that last."""
        return self._folder is not None and _may_make(self._folder)

    def read(self, token: str) -> Note | None:
        """The note under a token."""
        if self._folder is None or not _is_ours(self._folder) or not _is_token(token):
            return None
        try:
            data = read_plain(self._folder / token, _MAX_NOTE_BYTES)
            # The standard library's JSON can say names that are not UTF-8.
            return msgspec.convert(json.loads(data), Note)
        except (OSError, ValueError, RecursionError):
            return None

    def write(self, token: str, note: Note) -> bool:
        """Note something, durably; whether that was possible."""
        _made.add(token)
        folder = self._made_folder()
        if folder is None:
            return False
        try:
            number, draft = tempfile.mkstemp(dir=folder, prefix=".")
            with open(number, "wb") as file:
                file.write(json.dumps(msgspec.to_builtins(note)).encode())
                file.flush()
                os.fsync(number)
            os.replace(draft, folder / token)
            _sync(folder)
        except OSError:
            return False
        with contextlib.suppress(OSError):
            self._sweep(folder)
        return True

    def is_made_here(self, token: str) -> bool:
        """Whether this very process has noted it, whatever became of the note."""
        return token in _made

    def counter(self) -> Path | None:
        """The file that numbers runs (`engine.journal.entries`); None where none can be kept."""
        folder = self._made_folder()
        return None if folder is None else folder / "entered"

    # ------------------------------------------------------------ what is open

    def open(self, token: str) -> None:
        """A process is about to write the database; durable on return, if notes can be written."""
        _opened.add(token)
        folder = self._made_folder()
        if folder is None or not _is_token(token):
            return
        with contextlib.suppress(OSError):
            os.utime(folder / token)  # it is in use: see `_sweep`
            os.close(os.open(folder / (token + _OPEN), os.O_CREAT | os.O_WRONLY, 0o600))
            _sync(folder)

    def close(self, token: str) -> None:
        """It is closed, and has left no log behind."""
        _opened.discard(token)
        if self._folder is not None and _is_token(token):
            with contextlib.suppress(OSError):
                os.unlink(self._folder / (token + _OPEN))

    def was_open(self, token: str) -> bool:
        """Whether a process had it open when it ended, or this one has."""
        if token in _opened:
            return True
        return self._folder is not None and os.path.lexists(self._folder / (token + _OPEN))

    # ------------------------------------------------------------ the folder

    def _made_folder(self) -> Path | None:
        folder = self._folder
        if folder is None or not _may_make(folder):
            return None
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError:
            return None
        return folder

    def _sweep(self, folder: Path) -> None:
        """Drop the notes of files that have long been gone."""
        oldest = clock.wall_s() - _KEEP_DAYS * 86_400
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.stat(follow_symlinks=False).st_mtime < oldest and _is_token(entry.name):
                    note = self.read(entry.name)
                    if note is None or not os.path.lexists(note.path):
                        os.unlink(entry.path)
                        self.close(entry.name)


def new_token() -> str:
    """A token that no other database has."""
    return secrets.token_hex(16)


def _is_token(text: str) -> bool:
    """Whether a text from a database may name a note."""
    return len(text) == 32 and all(letter in "0123456789abcdef" for letter in text)


def _may_make(folder: Path) -> bool:
    """Whether a folder can be written, or made, and is not in another user's."""
    while not folder.exists():
        above = folder.parent
        if above == folder:
            return False
        folder = above
    return folder.is_dir() and _is_ours(folder) and os.access(folder, os.W_OK | os.X_OK)


def _is_ours(folder: Path) -> bool:
    """Whether what a folder says is this user's word: its owner's, or root's."""
    try:
        return os.stat(folder).st_uid in (0, os.geteuid())
    except OSError:
        return False


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
