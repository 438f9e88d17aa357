"""Reads LiteLLM's price table without importing LiteLLM, and applies its prices.

LiteLLM ships the table as a JSON file of 3 MB. Reading the file and decoding one entry takes 6 ms;
importing LiteLLM takes seconds. The table is in dollars per token, this module in integer
micro-dollars per million tokens, rounded up.

Two figures come from the same rates: the cost of a call, by the kind of each token and the length
of its prompt, and the most that it can cost, by the most expensive kind and length. The second is
never below the first. Prices of batches and of other service tiers are not read: no call here uses
them.
"""

from __future__ import annotations

import functools
import importlib.util
import os
import re
from collections.abc import Mapping, Sequence
from decimal import ROUND_CEILING, Decimal
from typing import Any

import msgspec

__all__ = [
    "Listing",
    "Rates",
    "Tokens",
    "dearest",
    "look_up",
    "models_of",
    "most_cost",
    "providers",
    "settled_cost",
]

_FILE = "model_prices_and_context_window_backup.json"
#: The table's names for prices, and ours. A price that has any other suffix (`_batches`, `_flex`,
#: `_priority`) is of a service that no call here asks for.
_KINDS = {
    "input_cost_per_token": "input_usd",
    "output_cost_per_token": "output_usd",
    "input_cost_per_token_cache_hit": "cached_usd",
    "cache_read_input_token_cost": "cached_usd",
    "cache_creation_input_token_cost": "written_usd",
    "cache_creation_input_token_cost_above_1hr": "written_hour_usd",
    "output_cost_per_reasoning_token": "reasoning_usd",
    "input_cost_per_audio_token": "audio_input_usd",
    "output_cost_per_audio_token": "audio_output_usd",
}
#: How the table says that a price holds for prompts longer than so many (thousands of) tokens.
_TIER = re.compile(r"(?P<kind>\w+?)_above_(?P<count>\d+)(?P<thousands>k?)_tokens")

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


class Rates(msgspec.Struct, frozen=True, omit_defaults=True):
    """What tokens cost in prompts of more than `above` tokens: micro-dollars for a million.

    None where a kind has no price of its own: it costs what the more general kind does.

    Attributes:
        input_usd: A token of the prompt.
        output_usd: A token of the answer.
        above: How long the prompt is at least, in tokens, for these prices to hold.
        cached_usd: A token of the prompt that was read from a cache.
        written_usd: A token of the prompt that was written to a cache.
        written_hour_usd: The same, for a cache that is kept for an hour.
        reasoning_usd: A token of the model's reasoning.
        audio_input_usd: A token of sound in the prompt.
        audio_output_usd: A token of sound in the answer.
    """

    input_usd: int
    output_usd: int
    above: int = 0
    cached_usd: int | None = None
    written_usd: int | None = None
    written_hour_usd: int | None = None
    reasoning_usd: int | None = None
    audio_input_usd: int | None = None
    audio_output_usd: int | None = None


class Tokens(msgspec.Struct, frozen=True):
    """What one call used, by kind. All but `input` and `output` are parts of these two."""

    input: int
    output: int
    cached: int = 0
    written: int = 0
    written_hour: int = 0
    reasoning: int = 0
    audio_input: int = 0
    audio_output: int = 0


class Listing(msgspec.Struct, frozen=True):
    """One model of the table; None is what the table does not say.

    Attributes:
        rates: What its tokens cost, by length of the prompt, the shortest first; empty where that
            is not known.
        context: The context window, in tokens.
        native: Whether the model takes a JSON Schema for its answer.
        mode: What it is for: `chat`, `embedding`, `image_generation`, ...
        provider: LiteLLM's name of who serves it.
        max_output: The longest answer it gives, in tokens.
    """

    rates: tuple[Rates, ...]
    context: int | None
    native: bool
    mode: str | None = None
    provider: str | None = None
    max_output: int | None = None

    @property
    def input_usd(self) -> int | None:
        """Micro-dollars for a million tokens of a short prompt; None if not known."""
        return self.rates[0].input_usd if self.rates else None

    @property
    def output_usd(self) -> int | None:
        """The same for the answer's tokens."""
        return self.rates[0].output_usd if self.rates else None


def settled_cost(rates: Sequence[Rates], tokens: Tokens) -> int:
    """What a call did cost, in micro-dollars, rounded up.

    Args:
        rates: By length of the prompt, the shortest first; not empty.
        tokens: What it used. A prompt that passes a length pays that length's prices for all of
            its tokens and for its answer, as providers say.
    """
    rate = rates[0]
    for longer in rates[1:]:
        if tokens.input > longer.above:
            rate = longer
    written = _or(rate.written_usd, rate.input_usd)
    parts = (
        (tokens.cached, _or(rate.cached_usd, rate.input_usd)),
        (tokens.written - tokens.written_hour, written),
        (tokens.written_hour, _or(rate.written_hour_usd, written)),
        (tokens.audio_input, _or(rate.audio_input_usd, rate.input_usd)),
        (
            tokens.input - tokens.cached - tokens.written - tokens.audio_input,
            rate.input_usd,
        ),
        (tokens.reasoning, _or(rate.reasoning_usd, rate.output_usd)),
        (tokens.audio_output, _or(rate.audio_output_usd, rate.output_usd)),
        (tokens.output - tokens.reasoning - tokens.audio_output, rate.output_usd),
    )
    # Kinds may overlap (sound that was read from a cache): then there is no rest of other tokens.
    total = sum(count * price for count, price in parts if count > 0)
    return -(-total // 1_000_000)


def most_cost(rates: Sequence[Rates], input_tokens: int, output_tokens: int) -> int:
    """The most that so many tokens can cost, in micro-dollars: each at its highest price."""
    most_input, most_output = dearest(rates, input_tokens)
    return -(-(input_tokens * most_input + output_tokens * most_output) // 1_000_000)


def dearest(rates: Sequence[Rates], longest: int | None = None) -> tuple[int, int]:
    """The highest price of a prompt's and of an answer's token, micro-dollars for a million.

    Caches that are kept for an hour and sound do not count: no call here asks for them.

    Args:
        rates: By length of the prompt, the shortest first; not empty.
        longest: How long the prompt is at most, in tokens; None where that is not known.
    """
    most_input = most_output = 0
    for rate in rates:
        if rate.above and longest is not None and longest <= rate.above:
            continue
        most_input = max(most_input, rate.input_usd, rate.cached_usd or 0, rate.written_usd or 0)
        most_output = max(most_output, rate.output_usd, rate.reasoning_usd or 0)
    return most_input, most_output


def _or(price: int | None, general: int) -> int:
    return general if price is None else price


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
        rates=_rates(entry),
        context=_count(context),
        native=entry.get("supports_response_schema") is True,
        provider=entry.get("litellm_provider"),
        mode=entry.get("mode"),
        max_output=_count(entry.get("max_output_tokens")),
    )


def _rates(entry: Mapping[str, Any]) -> tuple[Rates, ...]:
    """The prices of an entry by length of the prompt; empty without those of prompt and answer."""
    tiers: dict[int, dict[str, int]] = {0: {}}
    _add_prices(tiers, entry)
    for part in entry.get("tiered_pricing") or ():
        bounds = part.get("range") if isinstance(part, dict) else None
        if isinstance(bounds, list) and bounds and isinstance(bounds[0], (int, float)):
            _add_prices(tiers, part, int(bounds[0]))
    found: list[Rates] = []
    prices: dict[str, int] = {}
    for above in sorted(tiers):
        prices = {**prices, **tiers[above]}  # what a longer prompt has no price for stays
        if not prices.keys() >= {"input_usd", "output_usd"}:
            return ()
        rates = Rates(above=above, **prices)
        # The table says 0 where writing to a cache has no price of its own.
        found.append(rates if rates.written_usd else msgspec.structs.replace(rates, **_UNWRITTEN))
    return tuple(found)


_UNWRITTEN = {"written_usd": None, "written_hour_usd": None}


def _add_prices(tiers: dict[int, dict[str, int]], entry: Mapping[str, Any], above: int = 0) -> None:
    for key, value in entry.items():
        tier = _TIER.fullmatch(key)
        kind = _KINDS.get(key if tier is None else tier["kind"])
        price = None if kind is None else _per_million(value)
        if kind is None or price is None:
            continue
        length = above
        if tier is not None:
            length = int(tier["count"]) * (1_000 if tier["thousands"] else 1)
        tiers.setdefault(length, {})[kind] = price


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) else None


def _per_million(dollars_per_token: Any) -> int | None:
    if isinstance(dollars_per_token, bool) or not isinstance(dollars_per_token, (int, float)):
        return None
    micro = Decimal(str(dollars_per_token)) * 1_000_000 * 1_000_000
    return int(micro.to_integral_value(rounding=ROUND_CEILING))
