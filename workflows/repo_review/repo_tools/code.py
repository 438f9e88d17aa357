"""The workers `complexity` and `risky_constructs`: Python files as their syntax trees show them.

A file that does not parse is a finding, not a failure: it is listed in `unparsed`. How
complexity is counted, and which constructs are looked for, is written in `pysource`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from engine.errors import Failure
from repo_tools.git import Repo
from repo_tools.pysource import analyse_files

__all__ = ["complexity", "python_sources", "risky_constructs"]

#: Bytes of source parsed in one call; about two seconds.
_PARSE_BUDGET = 6 << 20
_PARSE_LIMIT = 1 << 20
_MAX_UNPARSED = 30


def complexity(repo: str, paths: Sequence[str] = (), limit: int = 60) -> dict[str, Any]:
    """The most complex functions of `repo`'s Python files.

    Args:
        repo: A folder of a git work tree.
        paths: Only these files, of which all functions are counted; by default all tracked
            Python files, largest first, as far as the budget of bytes goes.
        limit: How many functions to list, most complex first.

    Raises:
        Failure: `not_a_repository`, `not_found` (a path is not tracked), `unreadable`.
    """
    folder = Repo(repo)
    sources, skipped = python_sources(folder, paths)
    records = analyse_files(sources)
    functions = [function for record in records for function in record["functions"]]
    functions.sort(key=lambda f: (-f["complexity"], -f["length"], f["path"], f["line"]))
    return {
        "parsed_files": sum(record["error"] is None for record in records),
        "skipped_files": skipped,
        "total_functions": len(functions),
        "functions": functions[:limit],
        "unparsed": _unparsed(records),
    }


def risky_constructs(repo: str, paths: Sequence[str], limit: int = 60) -> dict[str, Any]:
    """Constructs in Python files that deserve a reviewer's eye, in order of file and line.

    Args:
        repo: A folder of a git work tree.
        paths: The Python files to look at.
        limit: How many to list.

    Raises:
        Failure: `not_a_repository`, `not_found` (a path is not tracked), `unreadable`.
    """
    folder = Repo(repo)
    sources, _ = python_sources(folder, paths) if paths else ({}, 0)
    records = analyse_files(sources)
    items = [risk for record in records for risk in record["risks"]]
    return {"total": len(items), "items": items[:limit], "unparsed": _unparsed(records)}


def python_sources(
    folder: Repo, paths: Sequence[str] = (), *, wanted: Callable[[str], bool] | None = None
) -> tuple[dict[str, bytes], int]:
    """The bytes of Python files, and how many were passed over for their size or the budget.

    Named files must be there. Without names it is all tracked ones that are `wanted`, and those
    that cannot be read are passed over.
    """
    sources: dict[str, bytes] = {}
    if paths:
        for path in dict.fromkeys(paths):
            folder.require_tracked(path)
            sources[path] = folder.read(path)
        return sources, 0
    sized = []
    for path in folder.files():
        if path.endswith((".py", ".pyi")) and (wanted is None or wanted(path)):
            try:
                sized.append((-(folder.root / path).lstat().st_size, path))
            except OSError:
                continue
    skipped = read = 0
    for size, path in sorted(sized):
        if -size > _PARSE_LIMIT or read - size > _PARSE_BUDGET:
            skipped += 1
            continue
        try:
            sources[path] = folder.read(path, limit=_PARSE_LIMIT)
        except Failure:
            skipped += 1
            continue
        read -= size
    return sources, skipped


def _unparsed(records: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{"path": record["path"], **record["error"]} for record in records if record["error"]][
        :_MAX_UNPARSED
    ]
