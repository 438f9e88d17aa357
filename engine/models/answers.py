"""What a provider said, whatever brought it: from the parts of an answer to a reply or a failure.

Both gateways give an `Answer`; whether it can be used is decided here, once, so that an endpoint
means the same whether it is asked directly or through LiteLLM. No text of an answer is repaired:
what a decision is made of is read by the engine (`engine.runtime.decision`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec

from engine.errors import Failure
from engine.models.faults import struck_out
from engine.models.usage import usage_of
from engine.runtime.ports import Message, ModelReply, ModelRequest

__all__ = ["Answer", "flat_options", "messages_of", "reply_of", "schema_name", "text_of"]

#: Anthropic takes this many cache marks in one request.
_MAX_CACHE_MARKS = 4
#: How providers say that the answer reached its limit.
_CUT = frozenset({"length", "max_tokens", "max_output_tokens"})
#: How they say that prompt and answer together filled the context window.
_FULL = frozenset({"model_context_window_exceeded", "model_length", "context_length"})
#: How they say that a filter, or the model, refused.
_REFUSED = frozenset(
    {
        "blocklist",
        "content_filter",
        "content_filtered",
        "guardrail_intervened",
        "image_safety",
        "prohibited_content",
        "recitation",
        "refusal",
        "safety",
        "spii",
    }
)
#: How they say that the model tried to call a tool, although it was offered none.
_TOOLS = frozenset(
    {"function_call", "malformed_function_call", "tool_calls", "tool_use", "unexpected_tool_call"}
)
#: How they say that generation failed on their side.
_BROKEN = frozenset({"error", "other", "network_error", "insufficient_system_resource"})


class Answer(msgspec.Struct):
    """The parts of a provider's answer.

    Attributes:
        text: What the model wrote for the caller.
        finish_reason: Why it stopped, in the provider's word; None if that was not said.
        refusal: The words of a refusal.
        reasoning: What it thought, where the server gives that apart.
        tools: Whether it called tools.
        usage: What it used, as the OpenAI protocol has it; None if that was not said.
    """

    text: str = ""
    finish_reason: str | None = None
    refusal: str = ""
    reasoning: str = ""
    tools: bool = False
    usage: Mapping[str, Any] | None = None


def reply_of(
    answer: Answer, request: ModelRequest, name: str, secrets: Callable[[], frozenset[str]]
) -> ModelReply:
    """The reply in an answer.

    Args:
        name: What to call the model.
        secrets: Gives the values to strike out of words; asked only where there are words.

    Raises:
        Failure: `refused`, `context_overflow`, `unavailable` or `invalid_output`.
    """
    usage = usage_of(answer.usage, request.info)
    reason = (answer.finish_reason or "").lower()
    if answer.refusal or reason in _REFUSED:
        words = f": {struck_out(answer.refusal, secrets())}" if answer.refusal else ""
        raise Failure("refused", f"{name} refused to answer{words}", usage=usage)
    if reason in _CUT:
        raise Failure(
            "invalid_output",
            f"the answer of {name} was cut at `max_tokens` = {request.max_tokens}",
            usage=usage,
        )
    if reason in _FULL:
        said = f"the answer of {name} was cut: prompt and answer fill its context window"
        raise Failure("context_overflow", said, usage=usage)
    if reason in _BROKEN:
        said = f"{name} stopped in the middle of its answer (`{reason}`)"
        raise Failure("unavailable", said, retryable=True, usage=usage)
    if not answer.text.strip():
        raise Failure(
            "invalid_output", f"{name} {_emptiness(answer, reason)}", retryable=True, usage=usage
        )
    return ModelReply(answer.text, usage)


def _emptiness(answer: Answer, reason: str) -> str:
    """What an answer without a text is, in words."""
    if answer.tools or reason in _TOOLS:
        return "called a tool instead of answering, although it was offered none"
    if answer.reasoning.strip():
        return "gave its reasoning and no answer after it"
    return "gave an empty answer"


def text_of(content: Any) -> str:
    """The text of a message's content: a string, or the text parts of a list."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list):
        return ""
    parts = []
    for part in content:
        if isinstance(part, str):
            parts.append(part)
        elif isinstance(part, Mapping) and part.get("type", "text") in ("text", "output_text"):
            parts.append(str(part.get("text") or ""))
    return "".join(parts)


def messages_of(messages: Sequence[Message], *, marks: bool) -> list[dict[str, Any]]:
    """Messages as the OpenAI protocol has them; with `marks`, the last cache marks set."""
    marked: set[int] = set()
    if marks:
        marked = set([i for i, m in enumerate(messages) if m.cache][-_MAX_CACHE_MARKS:])
    return [_message(message, i in marked) for i, message in enumerate(messages)]


def _message(message: Message, mark: bool) -> dict[str, Any]:
    if not mark:
        return {"role": message.role, "content": message.content}
    part = {"type": "text", "text": message.content, "cache_control": {"type": "ephemeral"}}
    return {"role": message.role, "content": [part]}


def schema_name(request: ModelRequest) -> str:
    """What to call the schema of an answer: letters, digits and `_`, at most 64."""
    name = "".join(c if c.isascii() and c.isalnum() else "_" for c in request.name)
    return f"{request.role}_{name}"[:64]


def flat_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """A model's options together with those of its `extra` map."""
    extra = options.get("extra")
    if not isinstance(extra, Mapping):
        return dict(options)
    return {**{name: value for name, value in options.items() if name != "extra"}, **extra}
