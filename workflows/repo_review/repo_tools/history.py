"""The worker `churn`: how often each file changed, from git's history.

Read newest first, so that a rename seen in a commit gives the file's older names to its present
one. Merge commits are left out (their changes are in the commits they merge); so are the
oldest commits of a shallow clone, which only look as if they had added every file.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

from engine.errors import Failure
from repo_tools.git import Repo

__all__ = ["churn"]


class _Change(NamedTuple):
    added: int
    removed: int
    old: bytes
    new: bytes


class _Commit(NamedTuple):
    hash: str
    at: int
    author: bytes
    changes: list[_Change]


def churn(repo: str, max_commits: int = 500, limit: int = 60) -> dict[str, Any]:
    """The files that changed in the newest `max_commits` commits, most often changed first.

    Args:
        repo: A folder of a git work tree.
        max_commits: How much history to read; merges do not count.
        limit: How many files to list. Only files tracked today are.

    Raises:
        Failure: `not_a_repository`, `no_history` (no commit yet), `unreadable`.
    """
    folder = Repo(repo)
    if not folder.has_commits():
        raise Failure("no_history", f"`{repo}` has no commits yet.")
    boundary = _shallow_boundary(folder)
    arguments = [
        "log", "-z", "--numstat", "--relative", "-M", "--no-merges", "--no-ext-diff",
        "--no-textconv", f"--max-count={max_commits + len(boundary)}",
        "--format=tformat:%x01%H%x02%at%x02%aE",
    ]  # fmt: skip
    if folder.prefix:
        arguments += ["--", "."]
    tracked = set(folder.files())
    names: dict[bytes, bytes] = {}
    found: dict[str, dict[str, Any]] = {}
    authors: set[bytes] = set()
    gone: set[bytes] = set()
    commits = 0
    newest = oldest = 0
    for commit in _commits(folder.git(*arguments)):
        if commit.hash in boundary or commits == max_commits:
            continue
        commits += 1
        authors.add(commit.author)
        newest = newest or commit.at
        oldest = commit.at
        touched: set[str] = set()
        for change in commit.changes:
            name = names.get(change.new, change.new)
            if change.old != change.new:
                names[change.old] = name
            path = name.decode("utf-8", "replace")
            if path not in tracked:
                gone.add(name)
                continue
            entry = found.setdefault(
                path,
                {"commits": 0, "added": 0, "removed": 0, "authors": set(), "at": commit.at},
            )
            entry["added"] += change.added
            entry["removed"] += change.removed
            entry["authors"].add(commit.author)
            if path not in touched:
                touched.add(path)
                entry["commits"] += 1
    ranked = sorted(
        found.items(),
        key=lambda item: (-item[1]["commits"], -item[1]["added"] - item[1]["removed"], item[0]),
    )
    return {
        "commits": commits,
        "complete": commits < max_commits and not boundary,
        "authors": len(authors),
        "newest": _day(newest) if commits else None,
        "oldest": _day(oldest) if commits else None,
        "changed_files": len(found),
        "gone_files": len(gone),
        "files": [
            {
                "path": path,
                "commits": entry["commits"],
                "added": entry["added"],
                "removed": entry["removed"],
                "authors": len(entry["authors"]),
                "last_change": _day(entry["at"]),
            }
            for path, entry in ranked[:limit]
        ],
    }


def _shallow_boundary(folder: Repo) -> frozenset[str]:
    if folder.git("rev-parse", "--is-shallow-repository").strip() != b"true":
        return frozenset()
    place = folder.git("rev-parse", "--git-path", "shallow").decode("utf-8", "surrogateescape")
    try:
        return frozenset((folder.root / place.rstrip("\n")).read_text("ascii").split())
    except (OSError, ValueError):
        return frozenset()


def _commits(output: bytes) -> Iterator[_Commit]:
    """Parse `git log -z --numstat`.

    Each commit is a header that begins with \\x01, then its changes: `added TAB removed TAB
    path`, or for a rename an empty path and the old and the new one as two more fields. Output
    that was cut off ends in the middle of a field: what is not whole is left out.
    """
    fields = output.split(b"\0")
    fields.pop()
    commit: _Commit | None = None
    position = 0
    while position < len(fields):
        field = fields[position].removeprefix(b"\n")
        position += 1
        if field.startswith(b"\x01"):
            if commit is not None:
                yield commit
            hash_, at, author = field[1:].split(b"\x02", 2)
            commit = _Commit(hash_.decode("ascii"), int(at or 0), author, [])
            continue
        if commit is None or field.count(b"\t") < 2:
            continue
        added, removed, path = field.split(b"\t", 2)
        old = new = path
        if not path:
            if position + 2 > len(fields):
                break
            old, new = fields[position : position + 2]
            position += 2
        # Binary files have "-" for both numbers.
        commit.changes.append(
            _Change(
                int(added) if added.isdigit() else 0, int(removed) if removed.isdigit() else 0,
                old, new,
            )
        )  # fmt: skip
    if commit is not None:
        yield commit


def _day(seconds: int) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).date().isoformat()
    except (ValueError, OverflowError, OSError):
        return "1970-01-01"
