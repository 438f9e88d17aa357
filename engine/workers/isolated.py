"""The child process that calls one function of the user's; the parent is `engine.workers.child`.

It is started by `engine.own.own_command` and reads one JSON object from standard input,

    {"call": "package.module:function", "base_dir": "...", "path": [sys.path],
     "input": {keyword arguments}, "args": [positional ones], "policy": null or a PolicyState}

and writes one to standard output, either of

    {"value": ...}      {"failure": {"mode", "message", "retryable", "retry_after_ms"}}

with exit code 0. Any other end means that the function took the process down with it. Standard
output belongs to the reply alone: what the function prints goes to standard error.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import os
import sys
from collections.abc import Awaitable, Mapping
from typing import Any

import msgspec

from engine.callables import load_callable
from engine.errors import Failure
from engine.runtime.ports import PolicyState
from engine.workers.messages import crash_of
from engine.workers.output import reserved_stdout
from engine.workers.python import load_failure
from engine.workers.values import plain_json

__all__ = ["main"]


# Long, because the parent cuts the message, and takes the secrets out before it does.
_LIMIT = 100_000


class _Order(msgspec.Struct):
    call: str
    base_dir: str
    input: dict[str, Any]
    path: list[str]
    args: list[Any] = []
    policy: PolicyState | None = None


def main() -> None:
    """Run the one order on standard input."""
    with reserved_stdout() as reply:
        _volunteer()
        order = msgspec.json.decode(sys.stdin.buffer.read(), type=_Order)
        # In the parent's order: a module must not be another one here than there.
        sys.path[:] = [*order.path, *(entry for entry in sys.path if entry not in order.path)]
        answer = msgspec.json.encode(_carry_out(order))
        sys.stderr.flush()
        reply.buffer.write(answer)
        reply.flush()
    # Threads that the function left running must not hold up the reply.
    os._exit(0)


def _volunteer() -> None:
    """Where memory runs out, let the kernel (Linux) take this process and not the engine."""
    with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
        file.write("1000")


def _carry_out(order: _Order) -> Mapping[str, Any]:
    try:
        function = load_callable(order.call, order.base_dir)
    except BaseException as error:
        return _failed(load_failure(order.call, error, {}))
    try:
        args = order.args if order.policy is None else [order.policy]
        value = function(*args, **order.input)
        if inspect.isawaitable(value):
            value = asyncio.run(_wait_for(value))
        return {"value": plain_json(value)}
    except BaseException as error:
        return _failed(crash_of(error, {}, _LIMIT, order.base_dir))


async def _wait_for(value: Awaitable[Any]) -> Any:
    return await value


def _failed(failure: Failure) -> Mapping[str, Any]:
    return {
        "failure": {
            "mode": failure.mode,
            "message": failure.message,
            "retryable": failure.retryable,
            "retry_after_ms": failure.retry_after_ms,
            "raised": failure.raised,
        }
    }


if __name__ == "__main__":
    main()
