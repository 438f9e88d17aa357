"""Models of endpoints that speak OpenAI's protocol, asked over HTTP without LiteLLM.

The same promises as `engine.models.litellm` keeps, at a fraction of the cost: one request is one
attempt, nothing is printed, no usage is made up, every failure has a mode of models and the
provider's words with keys struck out. The only importer of aiohttp, whose parser is in C: 0.15 ms
of CPU a call where httpx takes 1.7 (aiohttp 3.14.5, httpx 0.28, 20 calls at once on loopback).

No redirect is followed: the key would go with it.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from engine.errors import Failure
from engine.models.answers import Answer, flat_options, reply_of
from engine.models.chat_protocol import (
    BrokenAnswer,
    Events,
    StreamError,
    body_of,
    gather,
    read_answer,
)
from engine.models.endpoints import Endpoint, endpoint_of
from engine.models.faults import (
    failure_of_error,
    failure_of_status,
    secrets_of,
    struck_out,
)
from engine.runtime.ports import ModelReply, ModelRequest

__all__ = ["OpenAIModel", "warm"]

#: The longest answer that is taken in, in bytes: far above any model's, below what hurts.
_MAX_ANSWER = 64 * 1024 * 1024
#: How much of an error is read, in bytes.
_MAX_ERROR = 64 * 1024
#: Servers close idle connections after 5 s and more; one that is closing may not be asked.
_KEEP_ALIVE_S = 4.0
#: Options that reasoning models refuse, or take one value of.
_SAMPLING = frozenset(
    {"frequency_penalty", "logprobs", "presence_penalty", "temperature", "top_logprobs", "top_p"}
)

_encode = msgspec.json.Encoder(enc_hook=str).encode


def _aiohttp() -> Any:
    """The import costs 0.13 s of CPU, which `orch lint` can do without."""
    import aiohttp

    return aiohttp


def warm() -> threading.Thread:
    """Begin to import aiohttp in a thread; the first call waits for it if it must."""
    thread = threading.Thread(target=_aiohttp, name="orch-aiohttp-import", daemon=True)
    thread.start()
    return thread


class OpenAIModel:
    """One model behind OpenAI's protocol.

    Args:
        model_id: As the program names it, for messages.
        options: Settings over those of the declared model.
        name: What to call it in messages, if not by its id.
    """

    def __init__(
        self,
        model_id: str,
        options: Mapping[str, Any] | None = None,
        *,
        name: str | None = None,
    ) -> None:
        self._name = name or model_id
        self._id = model_id
        self._options = dict(options or {})
        self._session: Any = None
        #: What the server has refused to be told: names of parameters, left out from then on.
        self._refused: set[str] = set()

    async def prepare(self) -> None:
        """Import what asks; it is not part of a call's time."""
        await asyncio.to_thread(_aiohttp)

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Make one attempt.

        Raises:
            Failure: `timeout`, `rate_limited`, `unavailable`, `refused`, `context_overflow` or
                `invalid_output`.
        """
        options = {**flat_options(request.model.options), **self._options}
        endpoint = endpoint_of(self._id, options, os.environ)
        assert endpoint is not None, "the registry asks for this gateway only where there is one"
        if endpoint.lacks:
            said = f"{self._name} needs a key: set {endpoint.lacks} in the environment"
            raise Failure("unavailable", said)

        def secrets() -> frozenset[str]:
            return secrets_of(options)

        try:
            async with asyncio.timeout(request.timeout_ms / 1000):
                answer = await self._ask(request, options, endpoint, secrets)
        except TimeoutError:
            raise Failure(
                "timeout",
                f"{self._name} did not answer within {request.timeout_ms / 1000:g} s",
                retryable=True,
            ) from None
        except BrokenAnswer as error:
            said = f"{self._name}: {struck_out(str(error), secrets())}"
            raise Failure("unavailable", said, retryable=True) from None
        except _aiohttp().ClientError as error:
            said = f"{self._name}: {_connection_words(error)}"
            raise Failure("unavailable", struck_out(said, secrets()), retryable=True) from None
        return reply_of(answer, request, self._name, secrets)

    async def _ask(
        self,
        request: ModelRequest,
        options: Mapping[str, Any],
        endpoint: Endpoint,
        secrets: Callable[[], frozenset[str]],
    ) -> Answer:
        """Send the request; once more where the server names a parameter that it does not take."""
        while True:
            body = self._body(request, options, endpoint)
            async with self._opened().post(
                endpoint.url,
                data=_encode(body),
                headers=_headers(endpoint, options),
                allow_redirects=False,
            ) as response:
                if response.status == 200:
                    return await self._read(response, request, secrets)
                data = await _at_most(response, _MAX_ERROR)
                if response.status != 400 or not self._learn(data, body):
                    raise failure_of_status(
                        response.status,
                        data,
                        response.headers,
                        self._name,
                        secrets(),
                        schema_sent=request.structured,
                    )

    def _body(
        self, request: ModelRequest, options: Mapping[str, Any], endpoint: Endpoint
    ) -> dict[str, Any]:
        body = body_of(request, options, endpoint.model, stream=request.stream)
        reasons = endpoint.provider == "openai" and endpoint.own and _reasons(endpoint.model)
        if "max_tokens" in body and (reasons or "max_tokens" in self._refused):
            body["max_completion_tokens"] = body.pop("max_tokens")
        for key in self._refused | (_SAMPLING if reasons else frozenset()):
            body.pop(key, None)
        return body

    def _learn(self, data: bytes, body: Mapping[str, Any]) -> bool:
        """Whether the server refused a parameter that it can be asked without.

        Reasoning models behind an address that does not tell them (Azure's deployments) refuse
        `max_tokens` for its newer name, and how they sample.
        """
        try:
            error = msgspec.json.decode(data)["error"]
            param, code = error["param"], error["code"]
        except (msgspec.DecodeError, RecursionError, KeyError, TypeError, UnicodeDecodeError):
            return False
        if code not in ("unsupported_parameter", "unsupported_value") or param not in body:
            return False
        if param != "max_tokens" and param not in _SAMPLING:
            return False
        self._refused.add(param)
        return True

    async def _read(
        self, response: Any, request: ModelRequest, secrets: Callable[[], frozenset[str]]
    ) -> Answer:
        try:
            if "text/event-stream" in response.headers.get("content-type", ""):
                return await self._streamed(response, request)
            # A server that knows no streams answers in one piece, which is as good.
            return read_answer(await _at_most(response, _MAX_ANSWER))
        except StreamError as error:
            raise failure_of_error(
                error.error, self._name, secrets(), schema_sent=request.structured
            ) from None

    async def _streamed(self, response: Any, request: ModelRequest) -> Answer:
        answer, events, size = Answer(), Events(), 0
        async for data in response.content.iter_any():
            size += len(data)
            if size > _MAX_ANSWER:
                raise BrokenAnswer(f"the answer is longer than {_MAX_ANSWER} bytes")
            for event in events.feed(data):
                piece = gather(answer, event)
                if piece and request.on_text is not None:
                    request.on_text(piece)
        for event in events.rest():
            gather(answer, event)
        if answer.finish_reason is None:
            raise Failure(
                "unavailable",
                f"the answer of {self._name} broke off in the middle of the stream",
                retryable=True,
            )
        return answer

    def _opened(self) -> Any:
        """The session, opened at the first call: it belongs to the event loop it is opened in."""
        if self._session is None:
            aiohttp = _aiohttp()
            self._session = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=_KEEP_ALIVE_S),
                timeout=aiohttp.ClientTimeout(total=None, sock_connect=30),
                auto_decompress=True,
                trust_env=True,
            )
        return self._session

    async def close(self) -> None:
        """Close the connections."""
        session, self._session = self._session, None
        if session is not None:
            await session.close()


def _headers(endpoint: Endpoint, options: Mapping[str, Any]) -> dict[str, str]:
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/event-stream"}
    headers |= endpoint.headers
    for key in ("headers", "extra_headers"):
        given = options.get(key)
        if isinstance(given, Mapping):
            headers |= {str(name): str(value) for name, value in given.items()}
    return headers


def _reasons(model: str) -> bool:
    """Whether a model of OpenAI's own reasons: those take `max_completion_tokens` alone."""
    return model.startswith(("o1", "o3", "o4", "gpt-5")) and "chat" not in model


async def _at_most(response: Any, most: int) -> bytes:
    """The body, up to a length.

    Raises:
        BrokenAnswer: It is longer.
    """
    parts, size = [], 0
    async for data in response.content.iter_any():
        parts.append(data)
        size += len(data)
        if size > most:
            raise BrokenAnswer(f"the answer is longer than {most} bytes")
    return b"".join(parts)


def _connection_words(error: Exception) -> str:
    """What a failed connection says, without the library's own classes."""
    if isinstance(error, _aiohttp().ClientPayloadError):
        return "the connection was closed before the answer was complete"
    words = str(error) or "the connection was closed before the answer came"
    inner = error.__cause__ or getattr(error, "os_error", None)
    if isinstance(inner, OSError) and inner.strerror:
        where = getattr(error, "host", "")
        return f"cannot connect to {where}: {inner.strerror}" if where else inner.strerror
    return " ".join(words.split())
