"""Which processes are the watchers of an engine."""

from __future__ import annotations

from pathlib import Path

__all__ = ["watchers_of"]


def watchers_of(engine: int) -> list[int]:
    """The watchers among the children of a process."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = (path / "stat").read_text().rpartition(")")[2].split()[1]
            if int(parent) == engine and "watcher.py" in (path / "cmdline").read_text():
                found.append(int(path.name))
        except OSError:  # it ended meanwhile
            continue
    return found
