"""The one way the tools reach git and the files of a repository.

A `Repo` is a folder inside a git work tree; every path is relative to that folder, with `/` between
its parts. It has two invariants. git runs without anything the repository could make it run (hooks,
file system monitors, external diffs, fetches). A file is read only if it is tracked, regular and
really inside the folder, whatever symlinks the work tree holds.
"""

from __future__ import annotations

import os
import re
import stat
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from engine.errors import Failure

__all__ = ["MAX_FILE_BYTES", "Entry", "Repo", "evidence", "is_binary", "split_lines"]

#: A larger file is never read whole: no one reviews it line by line.
MAX_FILE_BYTES = 8 << 20

#: What one git command may print before it is cut off, in bytes.
MAX_GIT_BYTES = 64 << 20

#: An evidence text is a line without the space around it, cut after so many characters.
EVIDENCE_CHARS = 200

_GIT_TIMEOUT_S = 50.0

#: Windows has neither; nor has it pipes among the files of a work tree.
_CAREFUL = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)

_OPTIONS = (
    "--no-pager",
    "--no-optional-locks",
    "--literal-pathspecs",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "core.quotePath=false",
    "-c",
    "log.showSignature=false",
    "-c",
    "log.showRoot=true",
    "-c",
    "grep.column=false",
    "-c",
    "grep.fullName=false",
    "-c",
    "protocol.allow=never",
)


class Entry(NamedTuple):
    """One entry of git's index: its path as bytes and its mode (`100644`, `120000`, ...)."""

    raw_path: bytes
    mode: str

    @property
    def path(self) -> str | None:
        """The path as text, or None if its name is not UTF-8."""
        try:
            return self.raw_path.decode("utf-8")
        except UnicodeDecodeError:
            return None

    @property
    def is_file(self) -> bool:
        """Whether it is a regular file (no symlink, no submodule)."""
        return self.mode.startswith("100")


class Repo:
    """A folder of a git work tree that the tools read.

    Args:
        repo: The folder as the user named it.

    Raises:
        Failure: `not_a_repository` if there is no work tree to read.
    """

    def __init__(self, repo: str) -> None:
        if not repo or "\0" in repo:
            raise Failure("not_a_repository", f"`{repo!r}` is not a path.")
        folder = Path(repo).expanduser()
        if not folder.is_dir():
            what = "is a file, not a folder" if folder.exists() else "does not exist"
            raise Failure("not_a_repository", f"`{repo}` {what}.")
        self.root = Path(os.path.realpath(folder))
        code, out, err = self._run(["rev-parse", "--is-inside-work-tree", "--show-prefix"])
        if code != 0:
            if "dubious ownership" in err:
                raise Failure(
                    "not_a_repository",
                    f"git refuses to read `{repo}` because another user owns it"
                    " (see `safe.directory` in `git help config`).",
                )
            raise Failure("not_a_repository", f"`{repo}` is not a git repository.")
        inside, _, prefix = out.partition(b"\n")
        if inside.strip() != b"true":
            raise Failure("not_a_repository", f"`{repo}` has no work tree (a bare repository?).")
        #: Where the folder is in its work tree: empty at the top.
        self.prefix = prefix.rstrip(b"\n")

    def git(self, *arguments: str, ok: Sequence[int] = (0,)) -> bytes:
        """The output of a git command in the folder, cut off after `MAX_GIT_BYTES`.

        Raises:
            Failure: `unreadable`, with git's own words, if it ends otherwise than `ok` says.
        """
        code, out, err = self._run(arguments)
        if code not in ok:
            reason = err.strip().splitlines()
            said = reason[-1] if reason else f"exit status {code}"
            raise Failure("unreadable", f"git {arguments[0]}: {said}"[:400])
        return out

    def _run(self, arguments: Sequence[str]) -> tuple[int, bytes, str]:
        # Variables such as GIT_DIR, which a git hook sets, would point git somewhere else.
        environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("GIT_") or name.startswith("GIT_CONFIG")
        }
        environment |= {"LC_ALL": "C", "GIT_TERMINAL_PROMPT": "0", "GIT_NO_LAZY_FETCH": "1"}
        try:
            process = subprocess.Popen(  # noqa: S603 - an argv of our own, no shell
                ["git", *_OPTIONS, *arguments],  # noqa: S607 - the user's git is the one meant
                cwd=self.root,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
            )
        except FileNotFoundError:
            raise Failure("unreadable", "git is not installed, or not on the PATH.") from None
        except OSError as error:
            raise Failure("unreadable", f"git cannot be started: {error}") from None
        with process:
            try:
                out, err = process.communicate(timeout=_GIT_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
                raise Failure(
                    "unreadable", f"git {arguments[0]} took longer than {_GIT_TIMEOUT_S:.0f} s."
                ) from None
            except BaseException:
                process.kill()
                raise
        return process.returncode, out[:MAX_GIT_BYTES], err.decode("utf-8", "replace")

    def has_commits(self) -> bool:
        """Whether HEAD points at a commit."""
        return self._run(["rev-parse", "--verify", "--quiet", "HEAD^{commit}"])[0] == 0

    def head(self) -> str | None:
        """The full hash of the commit HEAD points at, or None."""
        code, out, _ = self._run(["rev-parse", "--verify", "--quiet", "HEAD^{commit}"])
        return out.decode("ascii").strip() if code == 0 else None

    def entries(self) -> list[Entry]:
        """What git tracks in the folder, each path once, in git's order."""
        found: dict[bytes, Entry] = {}
        for record in self.git("ls-files", "--stage", "-z").split(b"\0"):
            meta, tab, path = record.partition(b"\t")
            if tab:
                found[path] = Entry(path, meta[:6].decode("ascii"))
        return list(found.values())

    def files(self) -> Iterator[str]:
        """The paths of tracked regular files whose names are UTF-8."""
        for entry in self.entries():
            path = entry.path
            if path is not None and entry.is_file:
                yield path

    def require_tracked(self, path: str) -> None:
        """Check that a path is a tracked regular file.

        Raises:
            Failure: `not_found` if it is not.
        """
        try:
            path.encode("utf-8")
        except UnicodeEncodeError:
            raise Failure("not_found", "The path is not valid text.") from None
        if not path or "\0" in path or path.startswith("/") or ".." in path.split("/"):
            raise Failure("not_found", f"`{path!r}` is not a path inside the repository.")
        listed = self.git("ls-files", "--stage", "-z", "--", path).split(b"\0")
        for record in listed:
            meta, _, name = record.partition(b"\t")
            if name == path.encode("utf-8"):
                if meta.startswith(b"100"):
                    return
                kind = "a symlink" if meta.startswith(b"120") else "a submodule"
                raise Failure("not_found", f"`{path}` is {kind}, not a file.")
        raise Failure("not_found", f"`{path}` is not tracked in this repository.")

    def read(self, path: str, *, limit: int = MAX_FILE_BYTES) -> bytes:
        """The bytes of a tracked file as it is in the work tree.

        Raises:
            Failure: `not_found` if it is gone, `unreadable` if it is not a regular file inside
                the repository, is larger than `limit`, or may not be read.
        """
        try:
            resolved = Path(os.path.realpath(self.root / path, strict=True))
            if not resolved.is_relative_to(self.root) or resolved != self.root / path:
                raise Failure("unreadable", f"`{path}` leads through a symlink; it is not read.")
            # O_NONBLOCK: a named pipe put in the file's place must not hang the review.
            handle = os.open(resolved, os.O_RDONLY | _CAREFUL)
            with open(handle, "rb") as file:
                status = os.fstat(file.fileno())
                if not stat.S_ISREG(status.st_mode):
                    raise Failure("unreadable", f"`{path}` is not a regular file.")
                if status.st_size > limit:
                    raise Failure(
                        "unreadable", f"`{path}` has {status.st_size} bytes, over {limit}."
                    )
                return file.read(limit + 1)
        except FileNotFoundError:
            raise Failure("not_found", f"`{path}` is tracked but gone from disk.") from None
        except OSError as error:
            raise Failure("unreadable", f"`{path}`: {error.strerror or error}") from None


def is_binary(data: bytes) -> bool:
    """Whether git would call it binary: a NUL among the first 8000 bytes."""
    return b"\0" in data[:8000]


def split_lines(data: bytes) -> list[str]:
    """The lines of a text, counted as git counts them: only a line feed ends one.

    Bytes that are not UTF-8 become U+FFFD; a carriage return before the line feed is dropped.
    """
    lines = data.decode("utf-8", "replace").split("\n")
    if lines and lines[-1] == "":
        lines.pop()
    return [line.removesuffix("\r") for line in lines]


def evidence(line: str) -> str:
    """A line as a report quotes it: space collapsed, at most `EVIDENCE_CHARS` characters."""
    return re.sub(r"\s+", " ", line).strip()[:EVIDENCE_CHARS].rstrip()
