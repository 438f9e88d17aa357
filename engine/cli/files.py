"""Which files a command is about: those that are named, and all `*.orch` files of folders."""

from __future__ import annotations

import os
from collections.abc import Sequence

from engine.cli.output import error

__all__ = ["orch_files"]

#: Folders that hold other people's files.
_SKIPPED = {"node_modules", "__pycache__", "site-packages"}


def orch_files(paths: Sequence[str]) -> tuple[list[str], bool]:
    """The files that paths stand for, each once, and whether a folder held none (an error)."""
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


def _search(folder: str) -> list[str]:
    found: list[str] = []
    for here, folders, names in os.walk(folder):
        folders[:] = sorted(n for n in folders if not n.startswith(".") and n not in _SKIPPED)
        found += [os.path.join(here, name) for name in sorted(names) if name.endswith(".orch")]
    return found
