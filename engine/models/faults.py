"""What goes wrong with a provider, as a `Failure`: the mode, whether to retry, and the words.

Works on LiteLLM's exceptions by their class names, status codes and texts, so that this file does
not import it. Words come from the provider, on one line, without LiteLLM's prefixes, and with
keys struck out.
"""

from __future__ import annotations

import ast
import contextlib
import json
import os
import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any

from engine.errors import Failure
from engine.redaction import current
from engine.retry_after import retry_after_ms

__all__ = [
    "failure_of",
    "failure_of_error",
    "failure_of_status",
    "missing_key",
    "secrets_of",
    "struck_out",
]

_MAX_WORDS = 400
#: What LiteLLM puts before a provider's words, once or several times.
_PREFIX = re.compile(r"^\s*(?:litellm\.)?[A-Z]\w*(?:Error|Exception|Timeout)\b\s*[:-]?\s+")
_KEY = re.compile(r"\b(sk|pk|rk|key|gsk|xai|AIza)[-_]?[A-Za-z0-9*_-]{12,}|\b[Bb]earer\s+\S+")
_SHOWN = re.compile(r"^Error code: \d{3} - (?=\{)")
#: How Python's JSON decoder begins its complaints about what is not JSON at all.
_NOT_JSON = re.compile(r"(Expecting|Extra data|Unterminated|Invalid control)\b.*\(char \d+\)$")
#: Other variables that do instead of the one LiteLLM reports as missing.
_INSTEAD = {
    "AZURE_API_KEY": ("AZURE_AD_TOKEN", "AZURE_CLIENT_ID", "AZURE_USERNAME"),
    "GEMINI_API_KEY": ("GOOGLE_API_KEY",),
    "GOOGLE_API_KEY": ("GEMINI_API_KEY",),
    "HUGGINGFACE_API_KEY": ("HF_TOKEN",),
    "TOGETHERAI_API_KEY": ("TOGETHER_API_KEY", "TOGETHER_AI_TOKEN"),
}
_REFUSED = ("content_policy_violation", "content_filter", "content management policy")
#: How providers say that prompt and answer do not fit the window.
_TOO_LONG = (
    "context_length_exceeded",
    "exceed_context_size",
    "maximum context length",
    "exceeds the available context",
    "context window",
    "prompt is too long",
    "request_too_large",
    "input token count exceeds",
    "too many input tokens",
)
#: What the words of a provider hold that refuses the schema of an answer, and not the request.
_SCHEMA = (
    "constraint that has too many states",
    "grammar",
    "json_schema",
    "json schema",
    "output_config",
    "output_format",
    "response_format",
    "response_json_schema",
    "response_schema",
    "responseschema",
    "schema",
    "structured output",
    "union",
)
#: Statuses of requests that may well succeed when they are made again, besides 5xx.
_PASSING = frozenset({408, 409, 425})


def failure_of(
    error: Exception, model_id: str, secrets: Collection[str], *, schema_sent: bool = False
) -> Failure:
    """What an exception of LiteLLM means.

    Args:
        secrets: Values to strike out of the words.
        schema_sent: Whether the request carried a schema for the answer.
    """
    kinds = {kind.__name__ for kind in type(error).__mro__}
    status = getattr(error, "status_code", None)
    words = _words(str(error), secrets)
    if "Timeout" in kinds or "APITimeoutError" in kinds:
        return Failure("timeout", f"{model_id} timed out", retryable=True)
    if "LLM Provider NOT provided" in str(error):
        return Failure("unavailable", f"`{model_id}` names no provider; write it as PROVIDER/MODEL")
    if "RateLimitError" in kinds:
        status = 429
    if "ContextWindowExceededError" in kinds:
        status = 413
    if not isinstance(status, int):
        return Failure("unavailable", f"{model_id}: {type(error).__name__}: {words}")
    # The provider's code is in the exception that LiteLLM was handling, not in its own.
    signs = f"{error} {getattr(error, 'body', '')} {error.__context__}".lower()
    if "ContentPolicyViolationError" in kinds:
        return Failure("refused", f"{model_id} refused to answer: {words}")
    return _of_status(status, signs, words, model_id, _asked_wait_ms(error), schema_sent)


def failure_of_status(
    status: int,
    data: bytes,
    headers: Mapping[str, str],
    model_id: str,
    secrets: Collection[str],
    *,
    schema_sent: bool = False,
) -> Failure:
    """What an HTTP answer that is not a success means.

    Args:
        data: Its body, or the beginning of it.
        secrets: Values to strike out of the words.
        schema_sent: Whether the request carried a schema for the answer.
    """
    text = data.decode("utf-8", "replace")
    words = _words(text, secrets) or f"HTTP {status}, with an empty body"
    if 300 <= status < 400:
        where = struck_out(headers.get("location", "elsewhere"), secrets)
        said = f"{model_id}: the server sends the caller on to {where}; set `api_base` to that"
        return Failure("unavailable", said)
    wait = retry_after_ms(headers)
    if wait is None:
        wait = _wait_in_body(text)
    return _of_status(status, text.lower(), words, model_id, wait, schema_sent)


def failure_of_error(
    error: Any, model_id: str, secrets: Collection[str], *, schema_sent: bool = False
) -> Failure:
    """What an error means that came in the middle of a stream: an object, or a text."""
    data = json.dumps({"error": error}, default=str).encode()
    return failure_of_status(
        _status_in(error), data, {}, model_id, secrets, schema_sent=schema_sent
    )


def _status_in(error: Any) -> int:
    """The status that an error in a stream reports; 502 where it reports none."""
    if isinstance(error, Mapping):
        for key in ("code", "status", "status_code"):
            with contextlib.suppress(TypeError, ValueError, OverflowError):
                status = int(error.get(key))  # type: ignore[arg-type]
                if 400 <= status < 600:
                    return status
        kind = f"{error.get('type')} {error.get('code')} {error.get('status')}".lower()
        if "rate_limit" in kind or "resource_exhausted" in kind:
            return 429
        if "invalid_request" in kind or "context_length" in kind:
            return 400
    return 502


def _of_status(
    status: int, signs: str, words: str, model_id: str, wait_ms: int | None, schema_sent: bool
) -> Failure:
    """What a status means.

    Args:
        signs: Everything the provider said, in lower case, to find its codes in.
        words: What is shown of it.
    """
    if status == 429:
        # An account without credit answers 429 too, and will tomorrow.
        empty = "insufficient_quota" in signs or "exceeded your current quota" in signs
        return Failure(
            "unavailable" if empty else "rate_limited",
            f"{model_id}: {words}",
            retryable=not empty,
            retry_after_ms=None if empty else wait_ms,
        )
    if status == 413 or (status in (400, 422) and any(sign in signs for sign in _TOO_LONG)):
        return Failure("context_overflow", f"the prompt is too long for {model_id}: {words}")
    if status == 400 and any(sign in signs for sign in _REFUSED):
        return Failure("refused", f"{model_id} refused to answer: {words}")
    if status in (401, 403):
        return Failure("unavailable", f"{model_id} did not accept the key: {words}")
    passing = status >= 500 or status in _PASSING
    return Failure(
        "unavailable",
        f"{model_id}: {words}",
        retryable=passing,
        retry_after_ms=wait_ms if passing else None,
        schema_refused=schema_sent
        and status in (400, 404, 422)
        and any(sign in signs for sign in _SCHEMA),
    )


def _asked_wait_ms(error: Exception) -> int | None:
    own = getattr(error, "litellm_response_headers", None)
    headers = own or getattr(getattr(error, "response", None), "headers", None)
    wait = None if headers is None else retry_after_ms(headers)
    if wait is not None:
        return wait
    return _wait_in_body(f"{error} {getattr(error, 'body', '')} {error.__context__}")


#: With quotes as in JSON, or as LiteLLM shows a body.
_DELAY = re.compile(r"""["']retryDelay["']\s*:\s*["']([0-9.]+)s["']""")
_TRY_AGAIN = re.compile(r"(?:try again|retry) in ([0-9.]+) ?(ms|s|seconds|m)\b")
_UNITS_MS = {"ms": 1, "s": 1_000, "seconds": 1_000, "m": 60_000}


def _wait_in_body(text: str) -> int | None:
    """How long a body asks to wait: Google's `RetryInfo`, or OpenAI's and Groq's sentence."""
    found = _DELAY.search(text)
    if found is not None:
        return _ms(found[1], 1_000)
    found = _TRY_AGAIN.search(text)
    return None if found is None else _ms(found[1], _UNITS_MS[found[2]])


def _ms(number: str, factor: int) -> int | None:
    try:
        return max(0, round(float(number) * factor))
    except (ValueError, OverflowError):
        return None


def missing_key(
    missing: Iterable[str], provider: str, environment: Mapping[str, str]
) -> str | None:
    """The variable to ask for, among those LiteLLM reports as missing; None if it may do without.

    Only keys count: where a project or a region is missing, the provider has other ways to know.
    Where several would do, the one named after the provider is asked for.
    """
    for name in sorted(missing, key=lambda name: not name.startswith(provider.upper())):
        if name.endswith("_API_KEY") and not any(
            other in environment for other in _INSTEAD.get(name, ())
        ):
            return name
    return None


def struck_out(text: str, secrets: Collection[str]) -> str:
    """A text without the secrets, and without anything that looks like a key."""
    text = current().text(text)
    for secret in secrets:
        text = text.replace(secret, "***")
    return _KEY.sub("***", text)


def _message_in(text: str) -> str:
    """The message in an error body, in any of the shapes that providers give it."""
    if _NOT_JSON.match(text):
        return f"what the server answered is not JSON ({text})"
    if text[:1] == "<":
        return "the server answered with a web page, not JSON: is `api_base` right?"
    # LiteLLM and OpenAI's client show some bodies as a literal of Python's.
    try:
        if text[:2] in ("b'", 'b"'):
            text = ast.literal_eval(text).decode("utf-8", "replace")
        literal = _SHOWN.sub("", text)
        said = ast.literal_eval(literal) if literal != text else json.loads(text)
    except (ValueError, RecursionError, SyntaxError, AttributeError, MemoryError):
        return text
    found = said
    for _ in range(4):
        if isinstance(found, list) and found:
            found = found[0]
        elif isinstance(found, dict):
            keys = ("error", "message", "detail", "msg", "error_description", "title")
            found = next((found[key] for key in keys if found.get(key)), None)
    return found if isinstance(found, str) else text


def secrets_of(options: Mapping[str, Any]) -> frozenset[str]:
    """Values that may not show up in a message: keys in options and in the environment."""
    named = {**os.environ, **{k: v for k, v in options.items() if isinstance(v, str)}}
    ends = ("KEY", "TOKEN", "SECRET", "PASSWORD", "CREDENTIALS")
    return frozenset(v for k, v in named.items() if k.upper().endswith(ends) and len(v) >= 8)


def _words(text: str, secrets: Collection[str]) -> str:
    # A broken stream is reported with the same words twice.
    text = text.partition("Traceback (most recent call last)")[0]  # LiteLLM's own, at times
    text = " ".join(text.partition(" Original exception: ")[0].split())
    while (shorter := _PREFIX.sub("", text, count=1)) != text:
        text = shorter
    text = struck_out(_message_in(text), secrets)
    return text if len(text) <= _MAX_WORDS else text[: _MAX_WORDS - 1] + "…"
