"""`recorded/DIR`: answers recorded from real models, found by what was asked.

A request is identified by a hash of what a provider would see: the model's name in the program,
messages, schema, `max_tokens` and options. `DIR/HASH.json` holds the request (so a person can see
what changed) and its replies, those to a repeated request in order, failures included.
`DIR/models.json` holds what the run knew of each model, as the prompt depends on it, and the form
in which models were asked. Files are
replaced in one step, so a crash leaves no half of one. A request that was never recorded is a
failure that says so; nothing is ever asked of a network here.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from typing import Any

import msgspec

from engine.errors import Failure, UsageError
from engine.events import ModelInfo, Usage
from engine.models.scripted import play, read_entry
from engine.reading import CannotRead, read_regular
from engine.redaction import Redactor
from engine.runtime.ports import ChatModel, ModelReply, ModelRequest, ready

__all__ = ["RecordedModel", "RecordingModel", "recorded_info", "request_key"]

_MODELS = "models.json"
#: In which form models are asked: raised when the same program asks for something else than before.
_FORM = 2
#: Where that number is in `models.json`; no model can have this name.
_FORM_KEY = "$form"
#: A request with its replies may be large.
_MAX_BYTES = 100_000_000


def _rendered(request: ModelRequest) -> dict[str, Any]:
    return {
        "model": request.model.name,
        "messages": [{"role": m.role, "content": m.content} for m in request.messages],
        "schema": request.schema,
        "structured": request.structured,
        "max_tokens": request.max_tokens,
        "options": dict(request.model.options),
    }


def request_key(request: ModelRequest) -> str:
    """The name of a request: sha256, in hex, of its canonical JSON."""
    text = json.dumps(_rendered(request), sort_keys=True, ensure_ascii=False, default=str)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def _read(path: str) -> Any:
    """The JSON of one file.

    Raises:
        ValueError: It cannot be read as JSON; the message says why.
        FileNotFoundError: There is none.
    """
    try:
        return json.loads(read_regular(path, _MAX_BYTES).decode("utf-8"))
    except CannotRead as error:
        if error.reason == "does not exist":
            raise FileNotFoundError(path) from None
        raise ValueError(f"{path} cannot be read: it {error.reason}") from None
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not JSON: {error}") from None


def _write(path: str, content: Any) -> None:
    """Replace a file in one step."""
    folder = os.path.dirname(path)
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=".recording-", suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(content, file, indent=2, ensure_ascii=False, default=str)
            file.write("\n")
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def recorded_info(folder: str, name: str) -> ModelInfo:
    """What was known of a model when it was recorded.

    Raises:
        UsageError: Nothing was recorded there, or nothing of this model.
    """
    how = "make a recording with `orch run --record DIR`"
    try:
        models = _read(os.path.join(folder, _MODELS))
    except FileNotFoundError:
        raise UsageError(f"there is no recording in {folder}; {how}") from None
    except ValueError as error:
        raise UsageError(f"the recording in {folder} is damaged: {error}") from None
    if not isinstance(models, dict) or name not in models:
        named = [n for n in models if n != _FORM_KEY] if isinstance(models, dict) else []
        has = ", ".join(f"`{n}`" for n in named)
        raise UsageError(
            f"the recording in {folder} has no model `{name}`, only {has or 'none'}; {how}"
        )
    try:
        return msgspec.convert(models[name], ModelInfo)
    except msgspec.ValidationError as error:
        raise UsageError(f"the recording in {folder} is damaged: {_MODELS}: {error}") from None


def _form_of(folder: str) -> int:
    """The form that a recording was made in; 1 where it does not say."""
    try:
        return int(_read(os.path.join(folder, _MODELS)).get(_FORM_KEY, 1))
    except FileNotFoundError:
        return _FORM
    except (OSError, ValueError, TypeError, AttributeError):
        return 1


class RecordedModel:
    """Answers from a recording.

    Args:
        folder: The directory of the recording.
    """

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._asked: dict[str, int] = {}

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Find the request's next recorded reply."""
        key = request_key(request)
        try:
            content = _read(os.path.join(self._folder, f"{key}.json"))
            replies = [read_entry(raw) for raw in content["replies"]]
        except FileNotFoundError:
            why = "it was never recorded"
            if _form_of(self._folder) != _FORM:
                why = "it was recorded by another version of orch, which asks in another form"
            raise self._miss(request, key, why) from None
        except (ValueError, KeyError, TypeError) as error:
            raise self._miss(request, key, f"its file is damaged: {error}") from None
        position = self._asked.get(key, 0)
        self._asked[key] = position + 1
        if position >= len(replies):
            raise self._miss(
                request, key, f"it is asked {position + 1} times and was recorded {len(replies)}"
            )
        return await play(replies[position], request.info)

    def _miss(self, request: ModelRequest, key: str, why: str) -> Failure:
        return Failure(
            "unavailable",
            f"{self._folder} has no reply to request {key[:12]} of `{request.model.name}` "
            f"({request.key}): {why}; the prompt, the schema or the model's settings changed. "
            "Record it again with `orch run --record DIR`.",
        )

    async def close(self) -> None:
        """Nothing is held."""


class RecordingModel:
    """Passes requests on and records what comes back, failures too.

    A request that is asked again in this run gets one reply more; what an earlier run recorded
    for it is replaced.

    Args:
        inner: The model that answers.
        folder: The directory of the recording, made if it is not there.
        redactor: Takes secrets out of what is written; what is passed on is as it was.

    Raises:
        UsageError: The directory cannot be made.
    """

    def __init__(self, inner: ChatModel, folder: str, redactor: Redactor | None = None) -> None:
        self._inner = inner
        self._folder = os.path.abspath(folder)  # a worker may change the working directory
        self._redactor = redactor or Redactor({})
        #: By request: its replies by the order in which they were asked for.
        self._replies: dict[str, dict[int, dict[str, Any]]] = {}
        self._asked: dict[str, int] = {}
        self._known: set[str] = set()
        try:
            os.makedirs(folder, exist_ok=True)
        except OSError as error:
            raise UsageError(f"cannot record in {folder}: {error.strerror}") from None

    async def prepare(self) -> None:
        """Let the model behind load what it has to load."""
        await ready(self._inner)

    async def complete(self, request: ModelRequest) -> ModelReply:
        """Ask the model and write down what it says.

        Raises:
            Failure: The model's; or the recording cannot be written.
        """
        key = request_key(request)
        position = self._asked.get(key, 0)
        self._asked[key] = position + 1
        try:
            reply = await self._inner.complete(request)
        except Failure as failure:
            entry: dict[str, Any] = {
                "$fail": failure.mode,
                "message": self._redactor.text(failure.message),
                "retryable": failure.retryable,
            }
            if failure.retry_after_ms is not None:
                entry["retry_after_ms"] = failure.retry_after_ms
            if failure.usage is not None:
                entry["usage"] = _usage_entry(failure.usage)
            self._record(request, key, position, entry)
            raise
        usage = None if reply.usage is None else _usage_entry(reply.usage)
        clean = self._redactor.said if isinstance(reply.value, str) else self._redactor.value
        self._record(request, key, position, {"$reply": clean(reply.value), "usage": usage})
        return reply

    def _record(
        self, request: ModelRequest, key: str, position: int, entry: dict[str, Any]
    ) -> None:
        replies = self._replies.setdefault(key, {})
        replies[position] = entry
        # A call that was cancelled leaves a gap, which a replay must not stumble over.
        content = {
            "request": self._redactor.value(_rendered(request)),
            "replies": [replies[number] for number in sorted(replies)],
        }
        try:
            _write(os.path.join(self._folder, f"{key}.json"), content)
            if request.model.name not in self._known:
                self._record_info(request)
        except OSError as error:
            raise Failure(
                "unavailable", f"cannot record in {self._folder}: {error.strerror}"
            ) from error

    def _record_info(self, request: ModelRequest) -> None:
        path = os.path.join(self._folder, _MODELS)
        try:
            models = _read(path)
        except (FileNotFoundError, ValueError):
            models = {}
        models[_FORM_KEY] = _FORM
        models[request.model.name] = msgspec.to_builtins(request.info)
        _write(path, models)
        self._known.add(request.model.name)

    async def close(self) -> None:
        """Close the model behind."""
        await self._inner.close()


def _usage_entry(usage: Usage) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cached_tokens": usage.cached_tokens,
    }
    if usage.cache_write_tokens:
        entry["cache_write_tokens"] = usage.cache_write_tokens
    if usage.reasoning_tokens:
        entry["reasoning_tokens"] = usage.reasoning_tokens
    if usage.cost_micro_usd is not None:
        entry["cost_usd"] = usage.cost_micro_usd / 1_000_000
    return entry
