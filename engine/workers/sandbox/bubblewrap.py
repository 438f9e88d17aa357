"""Sandboxes by bubblewrap (Linux): namespaces in which nothing else is there.

The program sees the files of its policy in a file system that is otherwise empty, has processes and
devices of its own, and no network but its own loopback. It ends with `bwrap`, and so does all that
it has left running.
"""

from __future__ import annotations

import shutil
import subprocess
from functools import lru_cache

from engine.workers.sandbox.order import inside_command
from engine.workers.sandbox.policy import Policy

__all__ = ["NAME", "command", "problem"]

NAME = "bubblewrap"

#: Root keeps no capability, and no namespace of the machine is left but the network where allowed.
_ALWAYS = (
    *("--unshare-user-try", "--unshare-ipc", "--unshare-pid", "--unshare-uts"),
    *("--unshare-cgroup-try", "--cap-drop", "ALL", "--die-with-parent"),
)
_TRY_S = 10.0


@lru_cache(maxsize=1)
def problem() -> str | None:
    """Why there are no sandboxes by bubblewrap here, or None."""
    program = shutil.which("bwrap")
    if program is None:
        return "bubblewrap is not installed"
    tried = [program, *_ALWAYS, "--unshare-net", "--ro-bind", "/", "/", "--dev", "/dev"]
    try:
        done = subprocess.run(  # noqa: S603 - no input
            [*tried, "--proc", "/proc", "--", "true"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TRY_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"bubblewrap does not work: {error}"
    if done.returncode == 0:
        return None
    said = done.stderr.decode(errors="replace").strip().splitlines()
    return f"bubblewrap does not work: {said[-1] if said else done.returncode}"


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
        for path in policy.read:
            options += ("--ro-bind", path, path)
        options += ("--dev", "/dev", "--proc", "/proc")
        for path in policy.write:
            options += ("--bind", path, path)
        if isinstance(way, str):
            options += ("--bind", way, way)
        # Its root is in memory; what is written there would seem to have been written.
        options += ("--remount-ro", "/")
    program = shutil.which("bwrap") or "bwrap"
    return [program, *options, "--chdir", policy.cwd, "--", *inside_command(policy, argv, way)]
