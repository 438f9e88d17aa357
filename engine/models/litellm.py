"""Every model that LiteLLM can reach, behind the `ChatModel` port. The only importer of LiteLLM.

One request is one attempt: no retries, no fallbacks, no cache, no callbacks of LiteLLM's. What
comes back is turned into text and `Usage`, what goes wrong into a `Failure` with one of the
modes of models and with the provider's words, keys struck out. Nothing is ever printed, and no
price, token or usage is made up: usage that the provider does not report is None.

LiteLLM is imported at the first call, or by `warm` in a thread while the run is prepared.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
import threading
import warnings
from collections.abc import Mapping
from typing import Any

from engine.errors import Failure
from engine.models import offline
from engine.models.answers import Answer, flat_options, messages_of, reply_of, text_of
from engine.models.chat_protocol import response_format
from engine.models.faults import failure_of, failure_of_error, missing_key, secrets_of
from engine.models.litellm_stream import NoStreamError, StreamedAnswer, plain_usage
from engine.runtime.ports import ModelReply, ModelRequest

__all__ = ["LiteLLMModel", "warm"]

_lock = threading.Lock()
_loaded: Any = None
#: Open gateways by the mark of their event loop; LiteLLM keeps its HTTP clients by loop too.
_open: dict[str, int] = {}


def _litellm() -> Any:
    """LiteLLM, silenced, and with all that it needs from its own files (`engine.models.offline`).

    The import costs 2 to 3 s of CPU and 155 MB (measured with 1.106), hence here and not above.
    """
    global _loaded
    with _lock:
        if _loaded is None:
            offline.before_import(os.environ)
            # Pydantic warns about the shapes of LiteLLM's own classes; a user can do nothing
            # about it.
            warnings.filterwarnings("ignore", module=r"(pydantic|litellm)(\.|$)")
            import litellm

            offline.after_import(litellm)
            litellm.suppress_debug_info = True
            litellm.telemetry = False
            litellm.set_verbose = False
            # Sampling settings that a model does not take are left out rather than refused;
            # `response_format` is checked below, as dropping it would go unnoticed.
            litellm.drop_params = True
            # An answer may well repeat itself: the rule of a table, or Base64.
            litellm.REPEATED_STREAMING_CHUNK_LIMIT = sys.maxsize
            # aiohttp complains on stderr about sessions that LiteLLM leaves open.
            litellm.disable_aiohttp_transport = True
            for name in ("LiteLLM", "LiteLLM Router", "LiteLLM Proxy"):
                logger = logging.getLogger(name)
                logger.handlers = [logging.NullHandler()]
                logger.propagate = False
                logger.setLevel(logging.CRITICAL + 1)
            _loaded = litellm
    return _loaded


def warm() -> threading.Thread:
    """Begin to import LiteLLM in a thread; the first call waits for it if it must."""

    def load() -> None:
        # What goes wrong here goes wrong again at the first call, which says so.
        with contextlib.suppress(Exception):
            _litellm()

    thread = threading.Thread(target=load, name="orch-litellm-import", daemon=True)
    thread.start()
    return thread


class LiteLLMModel:
    """One model, reached through LiteLLM.

    Args:
        model_id: As LiteLLM names it: `anthropic/claude-sonnet-4-5`.
        options: Settings for LiteLLM over those of the declared model.
        name: What to call it in messages, if not by its id.
    """

    def __init__(
        self,
        model_id: str,
        options: Mapping[str, Any] | None = None,
        *,
        name: str | None = None,
    ) -> None:
        self._id = model_id
        self._name = name or model_id
        self._options = dict(options or {})
        self._loop_mark: str | None = None
        self._streams = True

    async def prepare(self) -> Any:
        """Import LiteLLM, which takes longer than many a timeout; gives the module back.

        Raises:
            Failure: It cannot be imported.
        """
        try:
            return _loaded or await asyncio.to_thread(_litellm)
        except Exception as error:  # a broken installation raises anything
            raise Failure("unavailable", f"LiteLLM cannot be imported: {error}") from error

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Make one attempt.

        Raises:
            Failure: `timeout`, `rate_limited`, `unavailable`, `refused`, `context_overflow` or
                `invalid_output`.
        """
        litellm = await self.prepare()
        self._enter_loop(litellm)
        options = {**flat_options(request.model.options), **self._options}
        self._preflight(litellm, options)
        arguments = self._arguments(litellm, request, options)
        try:
            # LiteLLM's own timeout is per read; a provider that sends a byte now and then
            # would never reach it.
            async with asyncio.timeout(request.timeout_ms / 1000):
                answer = await self._answer(litellm, arguments, request, options)
        except TimeoutError:
            raise Failure(
                "timeout",
                f"{self._name} did not answer within {request.timeout_ms / 1000:g} s",
                retryable=True,
            ) from None
        except Failure:
            raise
        except Exception as error:  # LiteLLM raises anything, its own bugs too
            raise failure_of(
                error, self._name, secrets_of(options), schema_sent=request.structured
            ) from None
        return reply_of(answer, request, self._name, lambda: secrets_of(options))

    async def _answer(
        self,
        litellm: Any,
        arguments: dict[str, Any],
        request: ModelRequest,
        options: Mapping[str, Any],
    ) -> Answer:
        if "stream" not in options and request.stream and self._streams:
            streamed = StreamedAnswer(self._name, request.on_text)
            asked = {**arguments, "stream": True}
            if "stream_options" not in options:
                asked["stream_options"] = {"include_usage": True}
            try:
                return await streamed.take(await litellm.acompletion(**asked))
            except NoStreamError:
                # A server that knows no streams answers in one piece, which LiteLLM drops:
                # ask it in the way it knows, now and from here on.
                self._streams = False
            except Exception:
                if streamed.error is None:
                    raise
                raise failure_of_error(
                    streamed.error, self._name, secrets_of(options), schema_sent=request.structured
                ) from None
        arguments.pop("stream_options", None)
        return _whole(await litellm.acompletion(**arguments))

    def _enter_loop(self, litellm: Any) -> None:
        if self._loop_mark is None:
            self._loop_mark = _loop_mark(litellm)
            _open[self._loop_mark] = _open.get(self._loop_mark, 0) + 1

    def _preflight(self, litellm: Any, options: Mapping[str, Any]) -> None:
        """A missing key comes back from providers in many disguises; so it is looked for first."""
        if "api_key" in options:
            return
        words = offline.lacking(_provider(litellm, self._id), options, os.environ)
        if words is not None:
            raise Failure("unavailable", f"{self._name} {words}")
        found = litellm.validate_environment(model=self._id)
        if found["keys_in_environment"]:
            return
        key = missing_key(found["missing_keys"], self._id.partition("/")[0], os.environ)
        if key is None or "api_base" in options:
            return
        raise Failure("unavailable", f"{self._name} needs a key: set {key} in the environment")

    def _arguments(
        self, litellm: Any, request: ModelRequest, options: Mapping[str, Any]
    ) -> dict[str, Any]:
        arguments: dict[str, Any] = {
            "max_tokens": request.max_tokens,
            **{key: value for key, value in options.items() if key != "stream"},
            "model": self._id,
            "messages": messages_of(request.messages, marks="claude" in self._id.lower()),
            "timeout": request.timeout_ms / 1000,
            "num_retries": 0,
            "max_retries": 0,
        }
        if options.keys() & {"max_completion_tokens", "max_tokens"}:
            # The program says how to put it, null for not at all.
            arguments["max_tokens"] = options.get("max_tokens")
        arguments = {key: value for key, value in arguments.items() if value is not None}
        if "api_base" in arguments and "api_key" not in arguments:
            provider = self._id.partition("/")[0]
            # Servers on one's own machine want no key, but the client insists on one.
            if provider == "openai" and "OPENAI_API_KEY" not in os.environ:
                arguments["api_key"] = "none"
        if request.structured and request.schema is not None:
            takes = litellm.get_supported_openai_params(model=self._id) or []
            if "response_format" not in takes:
                raise Failure(
                    "unavailable",
                    f"{self._name} takes no JSON Schema for its answer; set `structured = prompt`",
                    schema_refused=True,
                )
            arguments["response_format"] = response_format(request)
        return arguments

    async def close(self) -> None:
        """Close LiteLLM's connections of this event loop when its last gateway is closed."""
        if self._loop_mark is None:
            return
        mark, self._loop_mark = self._loop_mark, None
        _open[mark] -= 1
        if _open[mark] == 0:
            del _open[mark]
            await _close_clients(mark)


def _provider(litellm: Any, model_id: str) -> str:
    """LiteLLM's name for who serves a model, also where the id does not begin with it."""
    try:
        return str(litellm.get_llm_provider(model=model_id)[1])
    except Exception:  # it names none, which the call itself says
        return model_id.partition("/")[0]


def _whole(response: Any) -> Answer:
    """The answer in a whole response."""
    choices = response.choices
    if not choices:
        return Answer(usage=plain_usage(getattr(response, "usage", None)))
    message = choices[0].message
    extra = getattr(message, "provider_specific_fields", None) or {}
    return Answer(
        text=text_of(message.content),
        finish_reason=choices[0].finish_reason,
        # Up to 1.106 a refusal is among the extra fields, from 1.110 on it is a field.
        refusal=getattr(message, "refusal", None) or extra.get("refusal") or "",
        reasoning=getattr(message, "reasoning_content", None) or "",
        tools=bool(getattr(message, "tool_calls", None)),
        usage=plain_usage(getattr(response, "usage", None)),
    )


def _loop_mark(litellm: Any) -> str:
    """What LiteLLM appends to the keys of the HTTP clients that it keeps for the running loop.

    The id of the loop up to 1.106, a number of its own from 1.110 on: so its cache is asked.
    """
    cache = getattr(litellm, "in_memory_llm_clients_cache", None)
    marked = getattr(cache, "update_cache_key_with_event_loop", None)
    return str(marked("")) if marked else f"-{id(asyncio.get_running_loop())}"


async def _close_clients(loop_mark: str) -> None:
    """Close the HTTP clients that LiteLLM keeps for an event loop, and forget them.

    It never does so itself, and older versions take a client up again for a later loop that
    happens to get the same id, whose calls then fail with "Event loop is closed".
    """
    cache = getattr(_loaded, "in_memory_llm_clients_cache", None)
    clients = getattr(cache, "cache_dict", {})
    for key in [key for key in clients if str(key).endswith(loop_mark)]:
        client = clients.pop(key)
        inner = getattr(client, "_client", None) or getattr(client, "client", None) or client
        try:
            await inner.aclose()
        except Exception:  # a client without `aclose`, or one closed already
            logging.getLogger(__name__).debug("could not close a client", exc_info=True)
