"""Whether this machine can make the sandboxes that a program has; asked before a run starts."""

from __future__ import annotations

from engine.sema.model import Sandbox, Verifier, Worker
from engine.workers.sandbox.making import sandbox_problem
from engine.workers.sandbox.threads import threads_problem

__all__ = ["default_problem", "demanded_problem"]


def demanded_problem(callable_: Worker | Verifier) -> str | None:
    """Why the sandbox that its file demands cannot be made here; None if it can, or has none."""
    sandbox = callable_.settings.get("sandbox")
    if not isinstance(sandbox, Sandbox) or not sandbox.demanded:
        return None
    return sandbox_problem(sandbox)


def default_problem(callable_: Worker | Verifier) -> str | None:
    """Why the sandbox that it has by default cannot be made here; None if it can, or has none."""
    sandbox = callable_.settings.get("sandbox")
    if not isinstance(sandbox, Sandbox) or sandbox.demanded:
        return None
    return threads_problem() if sandbox.only_network else sandbox_problem(sandbox)
