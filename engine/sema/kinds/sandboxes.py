"""The `sandbox` of kinds that run code: the row, and what a declaration comes to.

A sandbox that is written is demanded: where it cannot be made, the run is refused. Untrusted
workers that say nothing get one by default, which holds where the machine can make it. Only a
demanded one proves anything, so only that is a fact. `engine.workers.sandbox` makes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from engine.sema.kinds.kind import Declared
from engine.sema.model import EVERY_INPUT, Sandbox
from engine.sema.settings.table import Row
from engine.sema.settings.values import BlockValue

__all__ = ["SANDBOX", "address_of", "hosts_of", "network_of", "sandbox_of"]

SANDBOX = Row(
    "sandbox",
    BlockValue("sandbox", words=("off",)),
    "Which hosts and files the code may reach; `sandbox = off` for all.",
    otherwise="no network if `trust = untrusted`, else off",
)


def sandbox_of(it: Declared, *, inside: bool = False) -> Sandbox | None:
    """The sandbox of a declaration; None where it is off.

    Args:
        inside: Whether the code runs inside the engine's process unless a sandbox is written.
    """
    written = it.settings.block("sandbox")
    if written is not None:
        return Sandbox(
            network=written.get("network"),
            read=written.get("read"),
            write=written.get("write"),
            env=written.get("env"),
        )
    if "sandbox" in it.settings.values or it.settings.find("trust") != "untrusted":
        return None
    return Sandbox(demanded=False, only_network=inside)


def hosts_of(settings: Mapping[str, Any]) -> str:
    """The hosts that a demanded sandbox lists, for `Facts.talks_to`."""
    sandbox = settings.get("sandbox")
    if not isinstance(sandbox, Sandbox) or isinstance(sandbox.network, str):
        return ""
    return " ".join(sorted(sandbox.network))


def address_of(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """The inputs by which code in a demanded sandbox can be told whom to talk to.

    All of them where it may talk to any host. Hosts that the file lists are its author's choice.
    """
    return EVERY_INPUT if network_of(settings) == "any" else ()


def network_of(settings: Mapping[str, Any]) -> Literal["none", "hosts", "any", "unknown"]:
    """How much of the network a demanded sandbox has."""
    sandbox = settings.get("sandbox")
    return sandbox.reach if isinstance(sandbox, Sandbox) and sandbox.demanded else "unknown"
