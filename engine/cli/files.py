"""Which files a command is about: those that are named, and all `*.orch` files of folders.

Also how such a file is replaced by another text: whole or not at all, and only if it still is what
was read.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import sys
import tempfile
from collections.abc import Iterator, Sequence

from engine.cli.exit_codes import CommandError, Exit
from engine.cli.output import error
from engine.errors import UnreadableFile
from engine.sema.names.loader import MAX_FILE_BYTES

__all__ = ["Scope", "orch_files", "rewrite", "standard_input", "subfolders"]

#: Folders that hold other people's files.
_SKIPPED = {"node_modules", "__pycache__", "site-packages"}


def orch_files(paths: Sequence[str]) -> tuple[list[str], bool]:
    """The files that paths name, each once, and whether a folder held none (an error)."""
    files: dict[str, None] = {}
    unreadable = False
    for path in paths:
        if path == "-" or not os.path.isdir(path):
            files[path] = None
            continue
        inside = _search(path)
        if not inside:
            error(f"cannot read {path}: there is no .orch file in this folder")
            unreadable = True
        files.update(dict.fromkeys(inside))
    return list(files), unreadable


class Scope:
    """The files that paths name, of whatever kind, for asking whether one is among them.

    A template in a folder that was named is among them, one that is only used by a file is not.
    """

    def __init__(self, paths: Sequence[str]) -> None:
        absolute = [os.path.abspath(path) for path in paths if path != "-"]
        self._folders = [path for path in absolute if os.path.isdir(path)]
        self._files = {path for path in absolute if path not in self._folders}

    def __contains__(self, path: str) -> bool:
        return path in self._files or any(self._inside(folder, path) for folder in self._folders)

    def _inside(self, folder: str, path: str) -> bool:
        above = os.path.dirname(path)
        while len(above) > len(folder):
            if _skipped(*os.path.split(above)):
                return False
            above = os.path.dirname(above)
        return above == folder


def standard_input(name: str) -> str:
    """The text on the standard input; a byte order mark at its beginning is dropped.

    Args:
        name: What messages call it.

    Raises:
        UnreadableFile: If it is too large, or no UTF-8.
    """
    data = sys.stdin.buffer.read(MAX_FILE_BYTES + 1) if sys.stdin is not None else b""
    if len(data) > MAX_FILE_BYTES:
        raise UnreadableFile(name, f"is larger than {MAX_FILE_BYTES // 1_000_000} MB")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as problem:
        line = data.count(b"\n", 0, problem.start) + 1
        reason = f"is not UTF-8 text (byte 0x{data[problem.start]:02x} in line {line})"
        raise UnreadableFile(name, reason) from None


def rewrite(path: str, old: str, new: str) -> None:
    """Replace the text of a file in one step; its mode and a byte order mark stay.

    Args:
        path: The file; a link is followed.
        old: What was read from it.
        new: What it shall hold.

    Raises:
        CommandError: If it cannot be written, or holds another text by now.
    """
    target = os.path.realpath(path)
    shown = os.path.relpath(path)
    temporary = None
    try:
        with open(target, "rb") as file:
            data = file.read()
        if data.decode("utf-8-sig", "replace") != old:
            help = "it was left alone; try again"
            raise CommandError(f"{shown} has changed meanwhile", Exit.UNREADABLE, help=help)
        if not os.stat(target).st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH):
            # Replacing it would work, and is not what a read-only file asks for.
            raise CommandError(f"cannot write {shown}: it is read-only", Exit.UNREADABLE)
        mark = b"\xef\xbb\xbf" if data.startswith(b"\xef\xbb\xbf") else b""
        number, temporary = tempfile.mkstemp(".tmp", ".orch-", os.path.dirname(target))
        with open(number, "wb") as file:
            file.write(mark + new.encode())
        shutil.copymode(target, temporary)
        os.replace(temporary, target)
        temporary = None
    except OSError as problem:
        reason = (problem.strerror or str(problem)).lower()
        raise CommandError(f"cannot write {shown}: {reason}", Exit.UNREADABLE) from None
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                os.unlink(temporary)


def subfolders(folder: str) -> Iterator[tuple[str, list[str]]]:
    """A folder and all below it with the names of their files; without other people's folders."""
    for here, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not _skipped(here, name))
        yield here, sorted(names)


def _search(folder: str) -> list[str]:
    return [
        os.path.join(here, name)
        for here, names in subfolders(folder)
        for name in names
        if name.endswith(".orch")
    ]


def _skipped(here: str, name: str) -> bool:
    """Whether a folder holds other people's files: hidden, installed, or a Python environment."""
    if name.startswith(".") or name in _SKIPPED:
        return True
    return os.path.exists(os.path.join(here, name, "pyvenv.cfg"))
