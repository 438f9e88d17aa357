"""Reads LiteLLM's price table without importing LiteLLM.

LiteLLM ships the table as a JSON file of 3 MB. Reading the file and decoding one entry takes 6 ms;
importing LiteLLM takes seconds. The table is in dollars per token, this module in micro-dollars per
million tokens, rounded up. The expected cost of a call uses one price for each direction. It
ignores higher prices for very long prompts and for cache writes, and lower prices for cached tokens
and batches. The most a token can cost is returned too; bounds use it.
"""

from __future__ import annotations

import functools
import importlib.util
import os
from decimal import ROUND_CEILING, Decimal
from typing import Any

import msgspec

__all__ = ["Listing", "cost_of", "look_up", "models_of", "providers"]

_FILE = "model_prices_and_context_window_backup.json"
#: Prices that hold only for calls this engine does not make: batches, other service tiers, prompts
#: kept in a cache for an hour.
_NOT_OURS = ("batches", "flex", "priority", "above_1hr")

#: Providers whose models are in the table without them, or not at all.
_UNLISTED = frozenset(
    (
        "ai21", "ai21_chat", "anthropic", "anthropic_text", "cohere", "cohere_chat", "custom",
        "custom_openai", "databricks", "docker_model_runner", "empower", "galadriel", "github",
        "hosted_vllm", "huggingface", "litellm", "litellm_proxy", "llamafile", "lm_studio",
        "modelscope",
        "nvidia_nim", "ollama_chat", "oobabooga", "openai", "openai_like", "openrouter", "petals",
        "predibase", "sagemaker_chat", "triton", "vertex_ai_beta", "vllm", "watsonx_text",
        "xinference",
    )
)  # fmt: skip


class Listing(msgspec.Struct, frozen=True):
    """One model of the table; None is what the table does not say.

    Attributes:
        input_usd: Micro-dollars for a million prompt tokens.
        output_usd: The same for the answer's tokens.
        most_input_usd: The highest price of a prompt token: past a length, or written to a cache.
        most_output_usd: The same for the answer's tokens.
        context: The context window, in tokens.
        native: Whether the model takes a JSON Schema for its answer.
        mode: What it is for: `chat`, `embedding`, `image_generation`, ...
        provider: LiteLLM's name of who serves it.
        max_output: The longest answer it gives, in tokens.
    """

    input_usd: int | None
    output_usd: int | None
    most_input_usd: int | None
    most_output_usd: int | None
    context: int | None
    native: bool
    mode: str | None = None
    provider: str | None = None
    max_output: int | None = None


def cost_of(input_usd: int, output_usd: int, input_tokens: int, output_tokens: int) -> int:
    """Micro-dollars for so many tokens at micro-dollars a million, rounded up."""
    return -(-(input_tokens * input_usd + output_tokens * output_usd) // 1_000_000)


@functools.lru_cache(maxsize=64)
def look_up(model_id: str) -> Listing | None:
    """The table's entry for a LiteLLM id, with or without its provider; None if there is none."""
    model_id = model_id.removeprefix("litellm/")
    entry = _entry(_table(_path()), model_id)
    return None if entry is None else _listing(entry)


def models_of(provider: str) -> list[str]:
    """The names the table has for a provider, without the provider; empty if it has none.

    Names of more than one part (regions, sizes, tiers) are left out.
    """
    prefix, found = f"{provider}/", []
    for name, raw in _table(_path()).items():
        if name.startswith(prefix):
            name = name.removeprefix(prefix)
        elif "/" in name or str(_decode(raw).get("litellm_provider")) != provider:
            continue
        if "/" not in name:
            found.append(name)
    return found


@functools.lru_cache(maxsize=1)
def providers() -> frozenset[str]:
    """Every provider the table has a model of."""
    return frozenset(name.partition("/")[0] for name in _table(_path()) if "/" in name) | _UNLISTED


@functools.lru_cache(maxsize=1)
def _table(path: str | None) -> dict[str, msgspec.Raw]:
    """The table with its entries not yet decoded; empty where it cannot be read."""
    if path is None:
        return {}
    try:
        with open(path, "rb") as file:
            return msgspec.json.decode(file.read(), type=dict[str, msgspec.Raw])
    except (OSError, msgspec.DecodeError):
        return {}


def _path() -> str | None:
    spec = importlib.util.find_spec("litellm")
    for folder in (spec.submodule_search_locations or ()) if spec is not None else ():
        path = os.path.join(folder, _FILE)
        if os.path.isfile(path):
            return path
    return None


def _entry(table: dict[str, msgspec.Raw], model_id: str) -> dict[str, Any] | None:
    if model_id in table:
        return _decode(table[model_id])
    provider, _, name = model_id.partition("/")
    # `openai/gpt-5-mini` is listed as `gpt-5-mini` with the provider in a field.
    if name in table:
        entry = _decode(table[name])
        if str(entry.get("litellm_provider", "")).startswith(provider):
            return entry
    return None


def _decode(raw: msgspec.Raw) -> dict[str, Any]:
    return msgspec.json.decode(raw, type=dict[str, Any])


def _listing(entry: dict[str, Any]) -> Listing:
    context = entry.get("max_input_tokens") or entry.get("max_tokens")
    return Listing(
        input_usd=_per_million(entry.get("input_cost_per_token")),
        output_usd=_per_million(entry.get("output_cost_per_token")),
        most_input_usd=_dearest(entry, "input_cost_per_token", "cache_creation_input_token_cost"),
        most_output_usd=_dearest(entry, "output_cost_per_token", "output_cost_per_reasoning_token"),
        context=_count(context),
        native=entry.get("supports_response_schema") is True,
        provider=entry.get("litellm_provider"),
        mode=entry.get("mode"),
        max_output=_count(entry.get("max_output_tokens")),
    )


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) else None


def _dearest(entry: dict[str, Any], *names: str) -> int | None:
    """The highest of some prices and of their variants for long prompts; None without the first."""
    if _per_million(entry.get(names[0])) is None:
        return None
    known = [
        price
        for key, value in entry.items()
        if key.startswith(names) and not any(word in key for word in _NOT_OURS)
        if (price := _per_million(value)) is not None
    ]
    return max(known)


def _per_million(dollars_per_token: Any) -> int | None:
    if isinstance(dollars_per_token, bool) or not isinstance(dollars_per_token, (int, float)):
        return None
    micro = Decimal(str(dollars_per_token)) * 1_000_000 * 1_000_000
    return int(micro.to_integral_value(rounding=ROUND_CEILING))
