"""What goes wrong with a provider, as a `Failure`: the mode, whether to retry, and the words.

Works on LiteLLM's exceptions by their class names, status codes and texts, so that this file does
not import it. Words come from the provider, on one line, without LiteLLM's prefixes, and with
keys struck out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from engine.errors import Failure
from engine.redaction import current

__all__ = ["failure_of", "missing_key", "retry_after_ms", "struck_out"]

_MAX_WORDS = 400
#: What LiteLLM puts before a provider's words, once or several times.
_PREFIX = re.compile(r"^\s*(?:litellm\.)?[A-Z]\w*(?:Error|Exception|Timeout)\b\s*[:-]?\s+")
_KEY = re.compile(r"\b(sk|pk|rk|key|gsk|xai|AIza)[-_]?[A-Za-z0-9*_-]{12,}|\b[Bb]earer\s+\S+")
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
#: Statuses of requests that may well succeed when they are made again, besides 5xx.
_PASSING = frozenset({408, 409, 425})


def failure_of(error: Exception, model_id: str, secrets: Collection[str]) -> Failure:
    """What an exception of LiteLLM means.

    Args:
        secrets: Values to strike out of the words.
    """
    kinds = {kind.__name__ for kind in type(error).__mro__}
    status = getattr(error, "status_code", None)
    words = _words(str(error), secrets)
    if "Timeout" in kinds or "APITimeoutError" in kinds:
        return Failure("timeout", f"{model_id} timed out", retryable=True)
    if status == 429 or "RateLimitError" in kinds:
        # An account without credit answers 429 too, and will tomorrow.
        empty = "insufficient_quota" in str(error) or "exceeded your current quota" in str(error)
        return Failure(
            "unavailable" if empty else "rate_limited",
            f"{model_id}: {words}",
            retryable=not empty,
            retry_after_ms=None if empty else _asked_wait_ms(error),
        )
    if "ContextWindowExceededError" in kinds or status == 413:
        return Failure("context_overflow", f"the prompt is too long for {model_id}: {words}")
    if "ContentPolicyViolationError" in kinds or (status == 400 and _is_refusal(error)):
        return Failure("refused", f"{model_id} refused to answer: {words}")
    if status in (401, 403):
        return Failure("unavailable", f"{model_id} did not accept the key: {words}")
    if "LLM Provider NOT provided" in str(error):
        return Failure("unavailable", f"`{model_id}` names no provider; write it as PROVIDER/MODEL")
    if isinstance(status, int):
        passing = status >= 500 or status in _PASSING
        return Failure(
            "unavailable",
            f"{model_id}: {words}",
            retryable=passing,
            retry_after_ms=_asked_wait_ms(error) if passing else None,
        )
    return Failure("unavailable", f"{model_id}: {type(error).__name__}: {words}")


def _is_refusal(error: Exception) -> bool:
    # The provider's code is in the exception that LiteLLM was handling, not in its own.
    said = f"{error} {getattr(error, 'body', '')} {error.__context__}".lower()
    return any(sign in said for sign in _REFUSED)


def _asked_wait_ms(error: Exception) -> int | None:
    own = getattr(error, "litellm_response_headers", None)
    headers = own or getattr(getattr(error, "response", None), "headers", None)
    return None if headers is None else retry_after_ms(headers)


def retry_after_ms(headers: Mapping[str, str]) -> int | None:
    """How long an answer asks to wait, in milliseconds: `retry-after-ms` or RFC 9110's field.

    A date is measured from the answer's own `date`, so no clock of this machine is needed.
    """
    named: dict[str, Any] = {str(name).lower(): value for name, value in headers.items()}
    for name, factor in (("retry-after-ms", 1), ("retry-after", 1000)):
        try:
            return max(0, round(float(named[name]) * factor))
        except (KeyError, ValueError, OverflowError):
            continue
    try:
        until = parsedate_to_datetime(named["retry-after"])
        since = parsedate_to_datetime(named["date"])
        return max(0, round((until - since).total_seconds() * 1000))
    except (KeyError, ValueError, TypeError):
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
    """The message in an error body that LiteLLM passes on as JSON."""
    if _NOT_JSON.match(text):
        return f"what the server answered is not JSON ({text})"
    try:
        message = json.loads(text)["error"]["message"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return text
    return message if isinstance(message, str) else text


def _words(text: str, secrets: Collection[str]) -> str:
    # A broken stream is reported with the same words twice.
    text = text.partition("Traceback (most recent call last)")[0]  # LiteLLM's own, at times
    text = " ".join(text.partition(" Original exception: ")[0].split())
    while (shorter := _PREFIX.sub("", text, count=1)) != text:
        text = shorter
    text = struck_out(_message_in(text), secrets)
    return text if len(text) <= _MAX_WORDS else text[: _MAX_WORDS - 1] + "…"
