"""How tasks and steps are named for people and planners: by ids, inside plan workers by paths.

Keys, which name calls in the journal, are made where tasks are made.
"""

from __future__ import annotations

from engine.runtime.state import Step, Task

__all__ = ["path_in_loop"]


def path_in_loop(entry: Task | Step) -> str:
    """The id of a task or step after those of the plan workers that it is in: `a2/r[3]`."""
    frame = entry.frame
    while frame is not None and frame.outer is not None:
        frame = frame.outer
    if frame is None or not isinstance(frame.owner, Task):
        return entry.id
    return f"{path_in_loop(frame.owner)}/{entry.id}"
