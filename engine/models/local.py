"""`local/FILE.gguf`: a small model on this machine, served by llama.cpp through `xllamacpp`.

The file is loaded at the first call, in a thread, by a server on a free port of 127.0.0.1 that
lives as long as the model is open; it is asked as any server that speaks OpenAI's protocol. Needs
the extra `local`. The schema of an answer is enforced while it is decoded.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import os
from typing import Any

from engine.errors import Failure, UsageError
from engine.models.openai_gateway import OpenAIModel
from engine.runtime.ports import ModelReply, ModelRequest
from engine.schemes import LOCAL_CONTEXT

__all__ = ["LocalModel"]


class LocalModel:
    """A GGUF file behind a server of its own.

    Args:
        path: The file.
        context: The context window, in tokens.

    Raises:
        UsageError: The file is not there, or the extra is not installed.
    """

    def __init__(self, path: str, context: int | None = None) -> None:
        if not os.path.isfile(path):
            raise UsageError(f"there is no model file {path}")
        if importlib.util.find_spec("xllamacpp") is None:
            raise UsageError(
                f"local/{os.path.basename(path)} needs llama.cpp: "
                "install the extra with `pip install 'orch-engine[local]'`"
            )
        self._path = path
        self._context = context or LOCAL_CONTEXT
        self._starting = asyncio.Lock()
        self._server: Any = None
        self._gateway: OpenAIModel | None = None

    async def prepare(self) -> None:
        """Start the server if it is not there.

        Raises:
            Failure: The file cannot be loaded.
        """
        await self._ready_gateway()

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Ask the server, which is started if it is not there."""
        gateway = await self._ready_gateway()
        return await gateway.complete(request)

    async def _ready_gateway(self) -> OpenAIModel:
        async with self._starting:
            if self._gateway is None:
                self._server = await asyncio.to_thread(self._start)
                address = f"{self._server.listening_address}/v1"
                file = os.path.basename(self._path)
                self._gateway = OpenAIModel(
                    f"openai/{file}",
                    {"api_base": address, "api_key": "none"},
                    name=f"local/{file}",
                )
        await self._gateway.prepare()
        return self._gateway

    def _start(self) -> Any:
        # An optional library; its import costs 0.1 s, loading a model far more.
        llama: Any = importlib.import_module("xllamacpp")
        parameters = llama.CommonParams()
        parameters.model.path = self._path
        parameters.hostnames = ["127.0.0.1"]
        parameters.port = 0
        parameters.n_ctx = self._context
        parameters.n_parallel = 1
        parameters.warmup = False
        parameters.ui = False
        # Nothing is printed.
        parameters.verbosity = -1
        try:
            return llama.Server(parameters)
        except Exception as error:  # the extension raises plain RuntimeError and its kin
            raise Failure("unavailable", f"llama.cpp cannot load {self._path}: {error}") from None

    async def close(self) -> None:
        """Stop the server."""
        gateway, self._gateway = self._gateway, None
        server, self._server = self._server, None
        if gateway is not None:
            await gateway.close()
        if server is not None:
            # Its destructor waits for the server's threads.
            await asyncio.to_thread(_drop, [server])
            del server


def _drop(held: list[Any]) -> None:
    held.clear()
