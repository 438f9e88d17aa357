"""Machines as network namespaces: each with an address of its own, on one switch.

Nothing of the real machine's network is touched: the switch is a bridge in a namespace of its
own, and every cable runs between two of ours. Needs root and `ip` (iproute2), on Linux.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from types import TracebackType

__all__ = ["Network", "missing"]


def missing() -> str | None:
    """Why namespaces cannot be made here, or None."""
    if sys.platform != "linux":
        return "network namespaces need Linux"
    if shutil.which("ip") is None:
        return "network namespaces need `ip` (package iproute2)"
    if os.geteuid() != 0:
        return "network namespaces need root"
    name = f"orch-{os.getpid()}-try"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True)
    if made.returncode != 0:
        return f"network namespaces cannot be made here: {made.stderr.strip()}"
    subprocess.run(["ip", "netns", "del", name], check=True)
    return None


class Network:
    """Machines on one switch; nothing is left of them at the end.

    Args:
        machines: Their names.
        tag: What the names of namespaces begin with.
    """

    def __init__(self, machines: Sequence[str], tag: str | None = None) -> None:
        self.tag = tag or f"orch-{os.getpid()}"
        self._machines = list(machines)

    def __enter__(self) -> Network:
        atexit.register(self.close)
        for sign in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(sign, lambda *_: sys.exit(1))
        _ip("netns", "add", f"{self.tag}-hub")
        _ip("-n", f"{self.tag}-hub", "link", "add", "switch", "type", "bridge")
        _ip("-n", f"{self.tag}-hub", "link", "set", "switch", "up")
        for number, machine in enumerate(self._machines):
            name = f"{self.tag}-{machine}"
            _ip("netns", "add", name)
            _ip("-n", name, "link", "set", "lo", "up")
            plug = ["link", "add", f"port{number}", "netns", f"{self.tag}-hub", "type", "veth"]
            _ip(*plug, "peer", "name", "eth0", "netns", name)
            _ip("-n", name, "addr", "add", f"{self.ip(machine)}/24", "dev", "eth0")
            _ip("-n", name, "link", "set", "eth0", "up")
            _ip("-n", f"{self.tag}-hub", "link", "set", f"port{number}", "up")
            self.heal(machine)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End what still runs on the machines, and take them down."""
        for name in [f"{self.tag}-{machine}" for machine in self._machines] + [f"{self.tag}-hub"]:
            pids = subprocess.run(["ip", "netns", "pids", name], capture_output=True, text=True)
            for pid in pids.stdout.split():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(int(pid), signal.SIGKILL)
            subprocess.run(["ip", "netns", "del", name], capture_output=True)
        atexit.unregister(self.close)

    def ip(self, machine: str) -> str:
        """The address of a machine."""
        return f"10.77.0.{self._machines.index(machine) + 1}"

    def on(self, machine: str) -> list[str]:
        """Words before a command that is to run on a machine."""
        return ["ip", "netns", "exec", f"{self.tag}-{machine}"]

    def cut(self, machine: str) -> None:
        """Pull a machine's cable out of the switch: what it sends is lost, and it is not told."""
        port = f"port{self._machines.index(machine)}"
        _ip("-n", f"{self.tag}-hub", "link", "set", port, "nomaster")

    def heal(self, machine: str) -> None:
        """Put the cable back."""
        port = f"port{self._machines.index(machine)}"
        _ip("-n", f"{self.tag}-hub", "link", "set", port, "master", "switch")


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True)
    if done.returncode != 0:
        raise SystemExit(f"ip {' '.join(words)}: {done.stderr.strip()}")
