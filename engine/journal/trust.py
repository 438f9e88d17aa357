"""Whose a journal is: databases that this user has not made on this machine are not driven.

A journal is code: it holds the texts of programs, the folder they are to run in and what they have
decided, and `orch resume` continues from there. So whoever writes to a database, or drives a run of
it, has it admitted here first. Reading asks nothing, but knows whose each database is.

A person vouches for a folder in `ORCH_TRUST_JOURNAL`, by the argument `trust`, or once and for all
with `orch journal trust`. The notes that tell databases apart are `engine.journal.known`'s.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import sqlite3
import stat
from collections.abc import Mapping
from pathlib import Path

from engine.errors import JournalError
from engine.journal.known import Note, Notes, new_token, state_folder
from engine.journal.plain import is_open_elsewhere, refuse_special
from engine.journal.storage import open_reader, refuse_damaged_log

__all__ = ["VARIABLE", "Trust"]

#: The variable that names trusted folders, or `*` for all.
VARIABLE = "ORCH_TRUST_JOURNAL"


class Trust:
    """Which databases in a folder may be written to.

    Args:
        directory: The journal's folder.
        everything: Whether the caller vouches for whatever is in it.
    """

    def __init__(
        self, directory: Path, *, everything: bool = False, env: Mapping[str, str] = os.environ
    ) -> None:
        self._directory = directory
        self._everything = everything
        self._env = env
        self.notes = Notes(state_folder(env))
        #: The tokens of what is open for writing, by database.
        self._open: dict[Path, str] = {}
        #: What was found to be this user's, for reading: a look at each run of thousands adds up.
        self._seen: set[tuple[Path, str | None]] = set()

    # ------------------------------------------------------------ reading

    def is_mine(self, connection: sqlite3.Connection, path: Path) -> bool:
        """Whether a database that is open for reading may be driven by this user."""
        token = _token_in(connection)
        if (path, token) not in self._seen:
            if not self._has_vouched() and self._why_not(token, path) is not None:
                return False
            self._seen.add((path, token))
        return True

    def problem(self, path: Path) -> JournalError | None:
        """Why a database may not be written to; None where it may, or holds nothing yet.

        Raises:
            JournalError: It cannot be read.
        """
        return self._judged(path)[1]

    # ------------------------------------------------------------ writing

    def check_folder(self) -> None:
        """Refuse a folder that another user has made, or that leads to a folder of other files.

        Raises:
            JournalError: It is such a folder, and the user does not vouch for it.
        """
        folder = self._directory
        if not os.path.lexists(folder) or self._has_vouched():
            return
        noted = self.notes.read(_folder_token(folder))
        if noted is not None and folder.exists() and noted == _folder_note(folder):
            return
        if folder.is_symlink() and not _holds_only_a_journal(folder):
            raise self._refusal(f"{folder} is a symbolic link to a folder of other files")
        for found in (os.lstat(folder), os.stat(folder)) if folder.exists() else ():
            if found.st_uid not in (0, os.geteuid()):
                raise self._refusal(f"the folder {folder} belongs to another user")

    def check(self, path: Path) -> None:
        """Refuse a database that may not be written to, before anything is touched.

        Raises:
            JournalError: It may not.
        """
        self.check_folder()
        problem = self.problem(path)
        if problem is not None:
            refuse_damaged_log(path)  # that is to be known first: it is not to be trusted either
            raise problem

    def admit(self, path: Path) -> None:
        """Let a database be opened for writing; whoever was let in calls `leave`.

        The caller holds its lock.

        Raises:
            JournalError: It may not be written to.
        """
        token, problem = self._judged(path)
        if problem is not None:
            raise problem
        if token:  # a new database is entered next
            self._open[path] = token
            self.notes.open(token)

    def enter(self, path: Path) -> str:
        """Note a database of this user's that is just being made, or taken over; its token."""
        token = new_token()
        try:
            note = Note.of(path)
        except OSError as error:
            raise JournalError(f"the journal cannot be opened: {path}: {error.strerror}") from None
        self.notes.write(token, note)
        self._open[path] = token
        self.notes.open(token)
        return token

    def leave(self, path: Path) -> None:
        """A database is closed again. Where it has left a log, that is remembered."""
        token = self._open.pop(path, None)
        if token is None:
            return
        if not _size(f"{path}-wal"):
            self.notes.close(token)

    # ------------------------------------------------------------ vouching

    def vouch(self) -> None:
        """Note the folder as one this user trusts.

        Raises:
            JournalError: Notes cannot be written.
        """
        folder = self._directory
        if not self.notes.write(_folder_token(folder), _folder_note(folder)):
            raise JournalError(
                f"it cannot be noted that {folder} is trusted: "
                f"{state_folder(self._env) or 'the home folder'} cannot be written",
                help=self._by_variable(),
            )

    def _has_vouched(self) -> bool:
        """Whether a person vouches for the folder, in this process.

        Raises:
            JournalError: The variable names a folder by a relative path.
        """
        if self._everything:
            return True
        for named in filter(None, self._env.get(VARIABLE, "").split(os.pathsep)):
            if named == "*":
                return True
            if not os.path.isabs(named):
                raise JournalError(
                    f"{VARIABLE} names {named}, which is not an absolute path",
                    help="write the whole path, or * for every journal",
                )
            if os.path.realpath(named) == os.path.realpath(self._directory):
                return True
        return False

    def _judged(self, path: Path) -> tuple[str | None, JournalError | None]:
        """The token of a database, as `_token_of` gives it, and why it may not be written to."""
        token = _token_of(path)
        if token == _NEW or self._has_vouched():
            return token, None
        why = self._why_not(token, path)
        return token, None if why is None else self._refusal(f"{path} {why}")

    def _why_not(self, token: str | None, path: Path) -> str | None:
        """What speaks against a database, after its path; None for nothing."""
        if token is None:
            return "was made by an earlier version of orch, or by another user"
        noted = self.notes.read(token)
        if noted is None:
            is_ours = self.notes.is_made_here(token)
            return None if is_ours else "was not made by you on this machine"
        try:
            now = Note.of(path)
        except OSError:
            return "is gone"
        if now.uid != noted.uid:
            return "belongs to another user than before"
        if now.path != noted.path and now.inode != noted.inode:
            return f"is a copy of {noted.path}"
        if self._has_strange_log(token, path):
            return "has a log (-wal) next to it that no run of yours has left"
        return None

    def _has_strange_log(self, token: str, path: Path) -> bool:
        """Whether there is a log that none of our processes has left or has open."""
        # Twice, for another process may be opening it between the two looks.
        for _ in range(2):
            if self.notes.was_open(token) or not _size(f"{path}-wal"):
                return False
        return not is_open_elsewhere(path)

    def _refusal(self, why: str) -> JournalError:
        """The error that says what to do."""
        remedy = self._by_variable()
        if self.notes.is_usable:
            command = f"orch journal trust {shlex.quote(str(self._directory))}"
            remedy = f"{command} (where the home folder does not last, {remedy})"
        return JournalError(
            f"the journal is not known to be yours: {why}",
            help="a journal can run programs: look at it with `orch runs`; if you trust it: "
            + remedy,
        )

    def _by_variable(self) -> str:
        return f"set {VARIABLE}={os.path.abspath(self._directory)}"


#: Instead of a token: there is no database, or it holds nothing yet.
_NEW = ""


def _token_of(path: Path) -> str | None:
    """The token of a database, `_NEW`, or None where it holds none.

    Raises:
        JournalError: It cannot be read.
    """
    refuse_special(path)
    connection = open_reader(path) if os.path.lexists(path) else None
    if connection is None:
        return _NEW
    try:
        return _token_in(connection)
    finally:
        connection.close()


def _token_in(connection: sqlite3.Connection) -> str | None:
    try:
        row = connection.execute("SELECT value FROM meta WHERE key = 'token'").fetchone()
    except sqlite3.Error:
        return None
    return row[0] if row is not None and isinstance(row[0], str) and row[0] else None


def _folder_token(folder: Path) -> str:
    """What a folder is noted under."""
    return hashlib.sha256(os.fsencode(os.path.abspath(folder))).hexdigest()[:32]


def _folder_note(folder: Path) -> Note:
    """Of what the folder is, where it is a link."""
    return Note.of(Path(os.path.realpath(folder)))


def _holds_only_a_journal(folder: Path) -> bool:
    """Whether a folder is empty, or a journal is in it already."""
    try:
        names = os.listdir(folder)
    except OSError:
        return False
    return not names or "journal.db" in names


def _size(name: str) -> int:
    try:
        found = os.lstat(name)
    except OSError:
        return 0
    return found.st_size if stat.S_ISREG(found.st_mode) else 0
