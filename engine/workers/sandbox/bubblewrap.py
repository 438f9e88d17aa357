"""Sandboxes by bubblewrap (Linux): namespaces in which nothing else is there.

The program sees the files of its policy in a file system that is otherwise empty, has processes and
devices of its own, and no network but its own loopback. It ends with `bwrap`, and so does all that
it has left running.
"""

from __future__ import annotations

import shutil
from functools import lru_cache

from engine.workers.sandbox.order import inside_command
from engine.workers.sandbox.policy import Policy
from engine.workers.sandbox.probing import why_not

__all__ = ["NAME", "SYSTEM", "command", "problem"]

NAME = "bubblewrap"
SYSTEM = "linux"

#: Root keeps no capability, and no namespace of the machine is left but the network where allowed.
_ALWAYS = (
    *("--unshare-user-try", "--unshare-ipc", "--unshare-pid", "--unshare-uts"),
    *("--unshare-cgroup-try", "--cap-drop", "ALL", "--die-with-parent"),
)


@lru_cache(maxsize=1)
def problem() -> str | None:
    """Why there are no sandboxes by bubblewrap here, or None."""
    program = shutil.which("bwrap")
    if program is None:
        return "bubblewrap is not installed"
    tried = [program, *_ALWAYS, "--unshare-net", "--ro-bind", "/", "/", "--dev", "/dev"]
    why = why_not([*tried, "--proc", "/proc", "--", "true"])
    return None if why is None else f"bubblewrap does not work: {why}"


def command(policy: Policy, argv: list[str], way: str | int | None) -> list[str]:
    """The command that starts a program under a policy.

    Args:
        way: The Unix socket of the proxy, where hosts are listed.
    """
    options = list(_ALWAYS)
    if policy.reach != "any":
        options.append("--unshare-net")
    if policy.only_network:
        options += ("--dev-bind", "/", "/", "--proc", "/proc")
    else:
        options += _files(policy, way)
    program = shutil.which("bwrap") or "bwrap"
    return [program, *options, "--chdir", policy.cwd, "--", *inside_command(policy, argv, way)]


def _files(policy: Policy, way: str | int | None) -> list[str]:
    """The options that make the file system of a policy; later ones lie over earlier ones."""
    options = [it for path in policy.read for it in ("--ro-bind", path, path)]
    if "/" in policy.write:
        return [*options, "--bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]
    options += ("--dev", "/dev", "--proc", "/proc")
    write = [*policy.write, way] if isinstance(way, str) else policy.write
    options += [it for path in write for it in ("--bind", path, path)]
    # Its root is in memory; what is written there would seem to have been written.
    return [*options, "--remount-ro", "/"]
