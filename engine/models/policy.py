"""`python/package.module:function`: a deterministic policy instead of a model.

The function gets the structured state (`PolicyState`) instead of a prompt and returns what a
model would: a decision, an output or a verdict. It costs nothing. A plain function runs in a
thread, so that one that reads files does not hold up the tasks that run next to it; an async one
runs on the loop. What it returns must be JSON; dataclasses and similar are turned into it.
"""

from __future__ import annotations

import asyncio
import inspect
import json
from collections.abc import Callable
from typing import Any

import msgspec

from engine.errors import MODEL_MODES, Failure
from engine.events import Usage
from engine.runtime.ports import ModelReply, ModelRequest

__all__ = ["PolicyModel"]


class PolicyModel:
    """Asks a function.

    Args:
        function: Takes a `PolicyState`, returns the answer or an awaitable of it.
        name: What to call it in messages; `package.module:function` where it has a folder.
        folder: Where it was looked up, so that another process can do so too; None where it
            was given as an object.
    """

    def __init__(self, function: Callable[..., Any], name: str, folder: str | None = None) -> None:
        self._function = function
        self._name = name
        self._folder = folder

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Give the state to the function; a `Failure` with a mode of models passes through."""
        state = request.state()
        try:
            if request.apart is not None and self._folder is not None:
                value = await request.apart(self._name, self._folder, state)
            elif inspect.iscoroutinefunction(self._function):
                value = await self._function(state)
            else:
                value = await asyncio.to_thread(self._function, state)
                if inspect.isawaitable(value):
                    value = await value
        except Failure as failure:
            if failure.mode in MODEL_MODES or failure.died:
                raise
            raise Failure("unavailable", f"{self._name}: {failure}") from failure
        except Exception as error:  # whatever a user's function raises is a failed call
            message = f"{self._name} raised {type(error).__name__}: {error}"
            raise Failure("unavailable", message) from error
        return ModelReply(self._as_json(value), Usage())

    def _as_json(self, value: Any) -> Any:
        try:
            # Not msgspec's encoder: it turns NaN into null silently.
            text = json.dumps(msgspec.to_builtins(value, str_keys=True), allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise Failure(
                "invalid_output", f"{self._name} returned what is not JSON: {error}"
            ) from None
        return json.loads(text)

    async def close(self) -> None:
        """Nothing is held."""
