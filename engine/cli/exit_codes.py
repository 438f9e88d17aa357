"""What the command line says when it ends: exit codes, and the error every command may raise.

The codes are a promise to scripts, listed in docs/reference/exit-codes.md.
"""

from __future__ import annotations

from enum import IntEnum

from engine.errors import OrchError

__all__ = ["CommandError", "Exit"]


class Exit(IntEnum):
    """The exit codes of `orch`."""

    OK = 0
    """It worked; a run has finished."""
    FINDINGS = 1
    """There are findings; a run has failed."""
    USAGE = 2
    """The command line is wrong."""
    UNREADABLE = 3
    """Something cannot be read, or the program has errors."""
    EXHAUSTED = 4
    """A run has hit a bound."""
    WAITING = 5
    """A run waits for a person."""
    ABORTED = 6
    """A run was aborted or rejected."""
    CANCELLED = 7
    """A run was cancelled."""
    INTERNAL = 70
    """A bug in the engine."""
    INTERRUPTED = 130
    """Ctrl-C."""
    BROKEN_PIPE = 141
    """Whoever read the output has gone."""
    TERMINATED = 143
    """SIGTERM."""


class CommandError(OrchError):
    """A command cannot continue: one line for the person, an exit code for the script.

    Attributes:
        exit: The exit code.
        help: What the person can do about it, or None.
    """

    def __init__(self, message: str, exit: Exit, *, help: str | None = None) -> None:
        self.exit = exit
        self.help = help
        super().__init__(message)
