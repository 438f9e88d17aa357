"""The order for `inside`, and the command that carries it out."""

from __future__ import annotations

import os
import sys
from typing import Any, Literal

import msgspec

from engine.workers.sandbox import inside
from engine.workers.sandbox.network_filter import NO_SOCKETS, TCP_ONLY, compiled
from engine.workers.sandbox.policy import Policy

__all__ = ["PORT", "inside_command"]

#: Where the proxy is, inside: there is nothing else on that loopback.
PORT = 3128

#: Devices that hold nothing, with what leads to the descriptors that a process has.
_READ = ("/dev/fd", "/dev/random", "/dev/urandom", "/proc", "/sys/devices/system/cpu")
_WRITE = ("/dev/full", "/dev/null", "/dev/tty", "/dev/zero")


def inside_command(
    policy: Policy,
    argv: list[str],
    way: str | int | None,
    *,
    landlock: str | None = None,
    unshare: Literal["network", "processes"] | None = None,
) -> list[str]:
    """The command that closes what is open and becomes the program.

    Args:
        way: The Unix socket of the proxy, where hosts are listed.
        landlock: The folder of the package for Landlock, if that keeps the files.
        unshare: Which namespaces it leaves itself.
    """
    filter = None
    if policy.reach != "any":
        filter = compiled(NO_SOCKETS if policy.reach == "none" else TCP_ONLY)
    files: dict[str, Any] | None = None
    if landlock is not None:
        files = {
            "site": landlock,
            "read": [*policy.read, *_READ],
            "write": [*policy.write, *_WRITE],
        }
    order = {
        "filter": None if filter is None else filter.hex(),
        "proxy": None if way is None else [way, PORT],
        "landlock": files,
        "unshare": unshare,
    }
    if not any(order.values()):
        return argv
    script = os.path.abspath(inside.__file__)
    return [sys.executable, "-I", "-S", script, msgspec.json.encode(order).decode(), *argv]
