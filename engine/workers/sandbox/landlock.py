"""Sandboxes by Landlock and seccomp (Linux), where there is no bubblewrap: the parent's side.

`inside` does it, in the process that becomes the program. Landlock refuses files, the filter
refuses sockets, and where the machine allows namespaces the program has no network to begin with.
Names and sizes of files outside stay visible; their content does not.
"""

from __future__ import annotations

import os
from functools import lru_cache
from importlib.util import find_spec
from typing import Literal

from engine.workers.sandbox.inside import OLDEST_LANDLOCK, landlock_version
from engine.workers.sandbox.network_filter import NO_SOCKETS, compiled
from engine.workers.sandbox.order import inside_command
from engine.workers.sandbox.policy import Policy
from engine.workers.sandbox.probing import why_not

__all__ = ["NAME", "SYSTEM", "command", "hosts_problem", "problem", "site_of_package"]

NAME = "landlock"
SYSTEM = "linux"
_PACKAGE = "landlockpy"


@lru_cache(maxsize=1)
def problem() -> str | None:
    """Why there are no sandboxes by Landlock here, or None."""
    if site_of_package() is None:
        return "the extra `sandbox` is not installed"
    if compiled(NO_SOCKETS) is None:
        return f"there is no filter for the machine {os.uname().machine}"
    version = landlock_version()
    if version < OLDEST_LANDLOCK:
        return f"the kernel's Landlock is too old ({version}, not {OLDEST_LANDLOCK})"
    return None


@lru_cache(maxsize=1)
def hosts_problem() -> str | None:
    """Why hosts cannot be listed here, or None: that takes a network namespace."""
    # All of it is tried: some systems allow a namespace, and not to use it.
    policy = Policy("hosts", (), (), ("/",), "/")
    why = why_not(inside_command(policy, ["true"], "/nonexistent", unshare="network"))
    return None if why is None else f"this machine does not allow network namespaces: {why}"


def site_of_package() -> str | None:
    """The folder that the package of the extra is in, or None without the extra."""
    found = find_spec(_PACKAGE)
    if found is None or found.origin is None:
        return None
    return os.path.dirname(os.path.dirname(found.origin))


def command(policy: Policy, argv: list[str], way: str | int | None) -> list[str]:
    """The command that starts a program under a policy; see `bubblewrap.command`."""
    site = None if policy.only_network else site_of_package()
    unshare: Literal["network", "processes"] = "processes" if policy.reach == "any" else "network"
    return inside_command(policy, argv, way, landlock=site, unshare=unshare)
