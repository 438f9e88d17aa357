"""What a call used, read from the usage in an answer, whatever dialect of it a server speaks.

The protocol is OpenAI's: cached tokens are a part of the prompt's, reasoning is a part of the
answer's. Servers that count either apart are told by their sums and by their field names, so that
nothing that was billed is left out. A count that is not valid is 0; an answer that gives neither
prompt nor answer tokens says nothing (None), never zero.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.events import ModelInfo, Usage
from engine.models.charges import charged_usd
from engine.prices import Tokens
from engine.runtime.budget import cost_of

__all__ = ["tokens_of", "usage_of"]


def usage_of(said: Mapping[str, Any] | None, info: ModelInfo) -> Usage | None:
    """The usage in an answer, priced; None where the provider did not say.

    Args:
        said: The field `usage`.
        info: What is known of the model; the price is its provider's own figure where it `charges`.
    """
    tokens = None if said is None else tokens_of(said)
    if said is None or tokens is None:
        return None
    cost = None
    if info.charges:
        cost = charged_usd(said, info.id.removeprefix("litellm/").partition("/")[0])
    return Usage(
        input_tokens=tokens.input,
        output_tokens=tokens.output,
        cached_tokens=tokens.cached,
        cost_micro_usd=cost_of(info, tokens) if cost is None else cost,
        cache_write_tokens=tokens.written,
        reasoning_tokens=tokens.reasoning,
    )


def tokens_of(said: Mapping[str, Any]) -> Tokens | None:
    """The counts in a `usage`, by kind; None where it says nothing."""
    prompt = _count(said, "prompt_tokens", "input_tokens")
    answer = _count(said, "completion_tokens", "output_tokens")
    # LiteLLM puts zeros where the provider said nothing; no call uses no tokens.
    if not prompt and not answer:
        return None
    total = _count(said, "total_tokens")
    of_prompt = _part(said, "prompt_tokens_details", "input_tokens_details")
    of_answer = _part(said, "completion_tokens_details", "output_tokens_details")
    cached = _count(of_prompt, "cached_tokens") or _count(
        said, "cache_read_input_tokens", "prompt_cache_hit_tokens", "cached_tokens"
    )
    written, written_hour = _written(said, of_prompt)
    reasoning = _count(of_answer, "reasoning_tokens") or _count(said, "reasoning_tokens")
    apart = max(0, total - prompt - answer)
    by_cache = cached + written
    if by_cache > prompt or apart == by_cache or _is_anthropic(said):
        # The prompt's tokens are those that no cache has anything to do with.
        prompt += by_cache
        apart = max(0, apart - by_cache)
    if reasoning > answer:
        answer += max(reasoning, apart)
    else:
        answer += apart
        reasoning = max(reasoning, apart)
    return Tokens(
        input=prompt,
        output=answer,
        cached=cached,
        written=written,
        written_hour=min(written, written_hour),
        reasoning=reasoning,
        audio_input=_count(of_prompt, "audio_tokens"),
        audio_output=_count(of_answer, "audio_tokens"),
    )


def _is_anthropic(said: Mapping[str, Any]) -> bool:
    """Whether the counts are in Anthropic's own words, where `input_tokens` leaves caches out."""
    words = ("cache_read_input_tokens", "cache_creation_input_tokens")
    return "prompt_tokens" not in said and any(word in said for word in words)


def _written(said: Mapping[str, Any], of_prompt: Mapping[str, Any]) -> tuple[int, int]:
    """Tokens written to a cache, and how many of them to one that is kept for an hour."""
    split = _part(said, "cache_creation") or _part(of_prompt, "cache_creation_token_details")
    hour = _count(split, "ephemeral_1h_input_tokens")
    written = (
        _count(said, "cache_creation_input_tokens")
        or _count(of_prompt, "cache_creation_tokens", "cache_write_tokens")
        or hour + _count(split, "ephemeral_5m_input_tokens")
    )
    return written, hour


def _part(of: Mapping[str, Any], *names: str) -> Mapping[str, Any]:
    for name in names:
        found = of.get(name)
        if isinstance(found, Mapping):
            return found
    return {}


def _count(of: Mapping[str, Any], *names: str) -> int:
    """The first of some fields that is a count and not 0."""
    for name in names:
        value = of.get(name)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and 1 <= value < 1 << 53:
            return int(value)
    return 0
