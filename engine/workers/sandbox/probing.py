"""Tries a command once, to learn whether it works on this machine."""

from __future__ import annotations

import subprocess

__all__ = ["why_not"]

_LIMIT_S = 10.0


def why_not(argv: list[str]) -> str | None:
    """What is wrong with a command that does nothing, in its own words; None if it works."""
    try:
        done = subprocess.run(  # noqa: S603 - no input
            argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=_LIMIT_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if done.returncode == 0:
        return None
    said = done.stderr.decode(errors="replace").strip().splitlines()
    return said[-1] if said else f"exit code {done.returncode}"
