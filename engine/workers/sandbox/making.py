"""Makes sandboxes: chooses what enforces them on this machine, and starts with it.

The first that works is used: bubblewrap, Landlock, `sandbox-exec`. `ORCH_SANDBOX` names the one to
use instead; it cannot switch sandboxes off. What was tried is remembered for the process.
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from types import ModuleType
from typing import Any

import msgspec

from engine.errors import Failure
from engine.runtime.ports import WorkerRequest
from engine.sema.model import Sandbox
from engine.workers.sandbox import bubblewrap, landlock, macos
from engine.workers.sandbox.order import PORT
from engine.workers.sandbox.policy import policy_of, program_at
from engine.workers.sandbox.proxy import Proxy

__all__ = ["Launch", "explained", "launched", "sandbox_problem"]

#: What a program says that a sandbox has stopped, in the words of the system and of libraries.
_REFUSED = re.compile(
    r"permission denied|not permitted|read-only file system|unreachable|resol(?:ve|ution)|connect",
    re.IGNORECASE,
)
_BY_DEFAULT = "an untrusted worker is in a sandbox without network unless its file says otherwise"
#: Which one to use, for those who have a reason to choose.
_VARIABLE = "ORCH_SANDBOX"
_ALL: tuple[ModuleType, ...] = (bubblewrap, landlock, macos)
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
_HELP = (
    "install bubblewrap (`apt install bubblewrap`) or the extra: pip install 'orch-engine[sandbox]'"
)


class Launch(msgspec.Struct, frozen=True):
    """How to start a program: in its sandbox, or as it is where it has none."""

    argv: list[str]
    env: Mapping[str, str]


def sandbox_problem(sandbox: Sandbox) -> str | None:
    """Why a sandbox cannot be made on this machine, with what to install; None if it can."""
    found = _mechanism(sandbox)
    return found if isinstance(found, str) else None


def explained(failure: Failure, request: WorkerRequest) -> Failure:
    """A failure that a sandbox by default may have caused, with words that say so."""
    sandbox = request.worker.settings.get("sandbox")
    if not isinstance(sandbox, Sandbox) or sandbox.demanded or failure.mode != "crashed":
        return failure
    if not _REFUSED.search(failure.message):
        return failure
    message = f"{failure.message} ({_BY_DEFAULT})"
    return Failure(
        failure.mode, message, died=failure.died, where=failure.where, raised=failure.raised
    )


@asynccontextmanager
async def launched(
    argv: list[str],
    cwd: str,
    env: Mapping[str, str],
    request: WorkerRequest,
    *,
    is_python: bool = False,
) -> AsyncIterator[Launch]:
    """How to start a program of a worker or verifier, and what it needs while it runs.

    Args:
        is_python: Whether it calls a function of the user's.

    Raises:
        Failure: `crashed`; its sandbox is demanded and cannot be made.
        FileNotFoundError: There is no such program.
        PermissionError: It may not be run.
    """
    sandbox = request.worker.settings.get("sandbox")
    if not isinstance(sandbox, Sandbox):
        yield Launch(argv, env)
        return
    mechanism = _mechanism(sandbox)
    if isinstance(mechanism, str):
        if sandbox.demanded:
            raise Failure("crashed", f"its sandbox cannot be made: {mechanism}", where="sandbox")
        yield Launch(argv, env)
        return
    program = program_at(argv, cwd, env.get("PATH"))
    async with AsyncExitStack() as stack:
        private = stack.enter_context(
            tempfile.TemporaryDirectory(prefix="orch-sandbox-", ignore_cleanup_errors=True)
        )
        private = os.path.realpath(private)
        policy = policy_of(
            sandbox,
            request.base_dir,
            program,
            cwd,
            private,
            is_python=is_python,
            changeable=request.changeable,
        )
        environment = {**env} if sandbox.only_network else {**env, "HOME": private}
        if not sandbox.only_network:
            environment["TMPDIR"] = private
        way: str | int | None = None
        if policy.reach == "hosts":
            proxy = Proxy(policy.hosts, over_tcp=mechanism is macos)
            way = (await stack.enter_async_context(proxy)).way
            environment.update(_to_proxy(way if isinstance(way, int) else PORT))
        started = mechanism.command(policy, [program, *argv[1:]], way)
        yield Launch(started, environment)


def _mechanism(sandbox: Sandbox) -> Any:
    """What makes a sandbox here, or why nothing does."""
    chosen = os.environ.get(_VARIABLE)
    tried = [it for it in _ALL if (chosen == it.NAME if chosen else sys.platform == it.SYSTEM)]
    if not tried:
        names = ", ".join(it.NAME for it in _ALL)
        wrong = f"{_VARIABLE} is `{chosen}`, which is none of {names}"
        return wrong if chosen else f"there are none on {sys.platform}"
    problems = []
    for mechanism in tried:
        problem = mechanism.problem()
        if problem is None and mechanism is landlock and sandbox.reach == "hosts":
            problem = landlock.hosts_problem()
        if problem is None:
            return mechanism
        problems.append(problem)
    return "; ".join((*problems, *([_HELP] if sys.platform == "linux" else [])))


def _to_proxy(port: int) -> dict[str, str]:
    """The variables by which programs find a proxy, as they are written by some and by others."""
    address = f"http://127.0.0.1:{port}"
    names = (*_PROXIES, *(name.lower() for name in _PROXIES))
    return {**dict.fromkeys(names, address), "NO_PROXY": "", "no_proxy": ""}
