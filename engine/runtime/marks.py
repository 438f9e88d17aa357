"""Marks: what tells the processes of one attempt from all others, in their environment.

A mark is made of run, key and attempt, so an engine that takes a run over can name what may still
live of its calls. The value in the environment has a second part, different for each program that
is started: `RUN/KEY#ATTEMPT@ENGINE.NUMBER`. It has no spaces and no secrets: the ids in a key are a
planner's, but have letters, digits, `_`, `.` and `-` only.
"""

from __future__ import annotations

__all__ = ["call_mark", "mark_of", "server_mark"]


def call_mark(run: str, key: str, attempt: int) -> str:
    """The mark of an attempt of a call."""
    return f"{run}/{key.replace(' ', '')}#{attempt}"


def server_mark(mark: str, name: str) -> str:
    """The mark of an MCP server of a run, which serves many calls.

    Args:
        mark: Of any call of the run, or the run's id.
    """
    return f"{mark.partition('/')[0]}/server/{name}"


def mark_of(value: str) -> str:
    """The mark in a value of the environment."""
    return value.rpartition("@")[0]
