"""Sandboxes by `sandbox-exec` (macOS): a profile that the system enforces.

Apple calls the program deprecated and uses it still; there is no other way to confine a program
that is not an application. Profile language: Scheme, the last rule that matches decides.
"""

from __future__ import annotations

import os
import sys
from functools import lru_cache

from engine.workers.sandbox.policy import Policy

__all__ = ["NAME", "SYSTEM", "command", "problem", "profile"]

NAME = "sandbox-exec"
SYSTEM = "darwin"
_PROGRAM = "/usr/bin/sandbox-exec"

_BEGINNING = """\
(version 1)
(deny default)
(allow process-fork process-exec signal (target same-sandbox))
(allow process-info* sysctl-read mach-lookup file-read-metadata)
(allow file-read* (literal "/") (subpath "/dev") (subpath "/private/etc"))
(allow file-write* (literal "/dev/null") (literal "/dev/zero") (literal "/dev/tty"))
"""


@lru_cache(maxsize=1)
def problem() -> str | None:
    """Why there are no sandboxes by `sandbox-exec` here, or None."""
    if sys.platform != "darwin":
        return "this is not macOS"
    return None if os.access(_PROGRAM, os.X_OK) else f"there is no {_PROGRAM}"


def profile(policy: Policy, port: int | None) -> str:
    """The profile of a policy.

    Args:
        port: Where the proxy listens, where hosts are listed.
    """
    lines = [_BEGINNING]
    if policy.only_network:
        lines.append("(allow file-read* file-write*)\n")
    else:
        lines += [f"(allow file-read* (subpath {_quoted(path)}))\n" for path in policy.read]
        for path in policy.write:
            lines.append(f"(allow file-read* file-write* (subpath {_quoted(path)}))\n")
    if policy.reach == "any":
        lines.append("(allow network*)\n(allow system-socket)\n")
    elif port is not None:
        lines.append(f'(allow network-outbound (remote ip "localhost:{port}"))\n')
        lines.append("(allow system-socket)\n")
    return "".join(lines)


def command(policy: Policy, argv: list[str], way: str | int | None) -> list[str]:
    """The command that starts a program under a policy.

    Args:
        way: The port of the proxy, where hosts are listed.
    """
    return [_PROGRAM, "-p", profile(policy, way if isinstance(way, int) else None), *argv]


def _quoted(path: str) -> str:
    escaped = path.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
