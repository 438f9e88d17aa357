"""The worker `read_lines`: a stretch of one tracked file, as it is on disk."""

from __future__ import annotations

from typing import Any

from engine.errors import Failure
from repo_tools.git import Repo, is_binary, split_lines

__all__ = ["MAX_LINES", "read_lines"]

#: Lines given in one call, and characters of each.
MAX_LINES = 200
_LINE_CHARS = 400


def read_lines(repo: str, path: str, start: int = 1, end: int | None = None) -> dict[str, Any]:
    """Lines `start` to `end` (both included, from 1) of a tracked file.

    At most `MAX_LINES` are given, and longer lines are cut; `total` is the file's line count.

    Args:
        repo: A folder of a git work tree.
        path: The file, relative to `repo`.
        start: The first line.
        end: The last line; past the end of the file is not an error. None means as far as allowed.

    Raises:
        Failure: `not_a_repository`, `not_found` (not tracked, or gone), `unreadable` (binary,
            a symlink on the way, too large, no permission), `out_of_range`.
    """
    folder = Repo(repo)
    folder.require_tracked(path)
    data = folder.read(path)
    if is_binary(data):
        raise Failure("unreadable", f"`{path}` is binary.")
    lines = split_lines(data)
    last = min(len(lines), start + MAX_LINES - 1, *(() if end is None else (end,)))
    if start < 1 or last < start:
        raise Failure(
            "out_of_range", f"`{path}` has {len(lines)} lines; {start} to {end} is empty."
        )
    return {
        "path": path,
        "start": start,
        "end": last,
        "total": len(lines),
        "lines": [
            {"n": number, "text": lines[number - 1][:_LINE_CHARS]}
            for number in range(start, last + 1)
        ],
    }
