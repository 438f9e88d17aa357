"""One function of the user's, called in a process of its own: the parent's side.

The child is `engine.workers.isolated`, which says what is sent and what comes back. It leads a
process group that is killed at the call's timeout and does not outlive the engine. Its death is
harmless: it is a `Failure` that says so (`died`).
"""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from engine.errors import Failure
from engine.own import own_command
from engine.runtime.ports import PolicyState, WorkerRequest
from engine.sizes import size_words
from engine.workers.messages import clean, crash_of, exit_words, last_lines, redacted
from engine.workers.process import OutputTooLarge, run_process
from engine.workers.sandbox.making import Launch, launched

__all__ = ["ask_policy_apart", "call_apart"]

#: What the result of a policy may take.
_MAX_REPLY_BYTES = 64 * 1024 * 1024
#: What a reply may take besides the result, or with a failure instead of one.
_MAX_FRAME_BYTES = 1024 * 1024
_KEEP_STDERR_BYTES = 64 * 1024


async def call_apart(
    target: str,
    base_dir: str,
    scope: Mapping[str, Any],
    input: Mapping[str, Any],
    args: Sequence[Any] = (),
    policy: PolicyState | None = None,
    mark: str = "",
    max_bytes: int = _MAX_REPLY_BYTES,
    env: Mapping[str, str] | None = None,
    request: WorkerRequest | None = None,
) -> Any:
    """Call `package.module:function` in a process of its own.

    Args:
        base_dir: The folder it is looked up from.
        scope: Holds the secrets that messages are cleaned of.
        input: The keyword arguments.
        args: The positional ones.
        policy: The one argument of a `python/` model, instead of `args`.
        mark: The attempt it is made for.
        max_bytes: What the result may take.
        env: Its environment; the engine's own if None.
        request: What it is called for, if that may have a sandbox.

    Raises:
        Failure: As for a call in this process; `crashed` with `died` where the process died.
    """
    order = {
        "call": target,
        "base_dir": base_dir,
        "input": input,
        "args": args,
        "policy": policy,
        "path": [entry for entry in sys.path if entry],
    }
    try:
        async with _launch(request, env) as (launch, cwd):
            child = await run_process(
                launch.argv,
                cwd=cwd,
                env=launch.env,
                stdin=msgspec.json.encode(order),
                max_bytes=max_bytes + _MAX_FRAME_BYTES,
                keep_stderr_bytes=_KEEP_STDERR_BYTES,
                mark=mark,
            )
    except OutputTooLarge:
        said = f"the output is larger than {size_words(max_bytes)}"
        raise Failure("invalid_output", said) from None
    except OSError as error:
        raise Failure("crashed", clean(f"no process for {target}: {error}", scope)) from None
    if child.stderr:
        # What the function printed; in this process it would have gone the same way.
        sys.stderr.write(redacted(child.stderr.decode(errors="replace"), scope))
    if child.returncode == 0:
        try:
            reply = msgspec.json.decode(child.stdout, type=dict[str, Any])
        except msgspec.DecodeError:
            reply = {}
        if "value" in reply:
            return reply["value"]
        if "failure" in reply:
            raise crash_of(Failure(**reply["failure"]), scope)
    words = exit_words(child.returncode)
    said = last_lines(child.stderr)
    if child.returncode >= 0:
        words = f"the process ended without a result ({words})" + (f": {said}" if said else "")
    raise Failure("crashed", clean(words, scope), died=True)


@asynccontextmanager
async def _launch(
    request: WorkerRequest | None, env: Mapping[str, str] | None
) -> AsyncIterator[tuple[Launch, str]]:
    """How to start the child, and the folder to start it in: one that its sandbox shows."""
    environment = dict(os.environ if env is None else env)
    argv = own_command("engine.workers.isolated")
    if request is None or request.worker.settings.get("sandbox") is None:
        yield Launch(argv, environment), os.getcwd()
        return
    cwd = request.base_dir
    async with launched(argv, cwd, environment, request, is_python=True) as launch:
        yield launch, cwd


async def ask_policy_apart(mark: str, target: str, folder: str, state: PolicyState) -> Any:
    """Call the function of a `python/` model in a process of its own."""
    return await call_apart(target, folder, {}, {}, policy=state, mark=mark)
