"""What calls cost by the documents of providers: their examples of usage, at their prices.

No provider can be asked here. Each row takes a `usage` as a provider's documentation shows it and
the prices that its price page gives, both as of November 2026; `dollars` is their product, worked
out by hand. The settled cost must be within 5 % of it, and the reservation never below.
"""

import pytest

from engine.events import ModelInfo
from engine.models.usage import usage_of
from engine.prices import look_up
from engine.runtime.budget import reservation_for

ANTHROPIC = "https://platform.claude.com/docs/en/about-claude/pricing"
DEEPSEEK = "https://api-docs.deepseek.com/quick_start/pricing"
GEMINI = "https://ai.google.dev/gemini-api/docs/pricing"
OPENAI = "https://developers.openai.com/api/docs/pricing"
OPENROUTER = "https://openrouter.ai/docs/use-cases/usage-accounting"
QWEN = "https://www.alibabacloud.com/help/en/model-studio/models"
XAI = "https://docs.x.ai/developers/advanced-api-usage/prompt-caching/usage-and-pricing"


def usage(prompt, answer, prompt_details=None, answer_details=None, **others):
    said = {"prompt_tokens": prompt, "completion_tokens": answer, **others}
    said.setdefault("total_tokens", prompt + answer)
    if prompt_details:
        said["prompt_tokens_details"] = prompt_details
    if answer_details:
        said["completion_tokens_details"] = answer_details
    return said


DOCUMENTED = [
    # Prices a million: input, cached, output.
    ("gpt-5-mini, no cache", OPENAI, "openai/gpt-5-mini", usage(2006, 300), 0.0011015),
    (
        "gpt-5-mini, 1920 of 2006 tokens cached: 0.25, 0.025, 2.00",
        OPENAI,
        "openai/gpt-5-mini",
        usage(2006, 300, {"cached_tokens": 1920}),
        (86 * 0.25 + 1920 * 0.025 + 300 * 2) / 1e6,
    ),
    (
        "gpt-5-mini, reasoning is a part of the answer",
        OPENAI,
        "openai/gpt-5-mini",
        usage(75, 1186, {"cached_tokens": 0}, {"reasoning_tokens": 1024}),
        (75 * 0.25 + 1186 * 2) / 1e6,
    ),
    (
        "gpt-5.4 past 272k tokens: all of the prompt 5.00, the answer 22.50",
        OPENAI,
        "openai/gpt-5.4",
        usage(300_000, 1_000),
        (300_000 * 5 + 1_000 * 22.5) / 1e6,
    ),
    (
        "Sonnet 4.5: 3.00, writes 3.75, reads 0.30, output 15.00",
        ANTHROPIC,
        "anthropic/claude-sonnet-4-5",
        usage(
            103_171 + 50,
            393,
            cache_read_input_tokens=100_000,
            cache_creation_input_tokens=3_171,
        ),
        (50 * 3 + 3_171 * 3.75 + 100_000 * 0.3 + 393 * 15) / 1e6,
    ),
    (
        "the same, with 1h writes at 6.00, in Anthropic's own words",
        ANTHROPIC,
        "anthropic/claude-sonnet-4-5",
        {
            "input_tokens": 2_048,
            "cache_read_input_tokens": 1_800,
            "cache_creation_input_tokens": 248,
            "cache_creation": {
                "ephemeral_5m_input_tokens": 148,
                "ephemeral_1h_input_tokens": 100,
            },
            "output_tokens": 503,
        },
        (2_048 * 3 + 1_800 * 0.3 + 148 * 3.75 + 100 * 6 + 503 * 15) / 1e6,
    ),
    (
        "Haiku 5.5 past 100k tokens, reads and writes counted",
        ANTHROPIC,
        "anthropic/claude-haiku-5-5",
        usage(120_000, 1_000, {"cached_tokens": 90_000, "cache_creation_tokens": 20_000}),
        (10_000 * 0.5 + 90_000 * 0.05 + 20_000 * 0.625 + 1_000 * 2.5) / 1e6,
    ),
    (
        "Gemini 2.5 Pro to 200k tokens: 1.25, cached 0.125, output with thinking 10.00",
        GEMINI,
        "gemini/gemini-2.5-pro",
        usage(1_000, 2_500, {"cached_tokens": 600}, {"reasoning_tokens": 2_000}),
        (400 * 1.25 + 600 * 0.125 + 2_500 * 10) / 1e6,
    ),
    (
        "Gemini 2.5 Pro past 200k tokens: 2.50, output 15.00",
        GEMINI,
        "gemini/gemini-2.5-pro",
        usage(250_000, 1_000),
        (250_000 * 2.5 + 1_000 * 15) / 1e6,
    ),
    (
        "Gemini by a gateway that reports thinking next to the answer",
        GEMINI,
        "gemini/gemini-2.5-pro",
        usage(100, 20, total_tokens=5_120),
        (100 * 1.25 + 5_020 * 10) / 1e6,
    ),
    (
        "DeepSeek: hits 0.028, misses 0.28, output 0.42",
        DEEPSEEK,
        "deepseek/deepseek-chat",
        usage(2_000, 100, prompt_cache_hit_tokens=1_800, prompt_cache_miss_tokens=200),
        (1_800 * 0.028 + 200 * 0.28 + 100 * 0.42) / 1e6,
    ),
    (
        "Grok 4.7: 2.00, cached 0.50, output 6.00",
        XAI,
        "xai/grok-4.7",
        usage(125, 48, {"cached_tokens": 98, "text_tokens": 125}, {"reasoning_tokens": 0}),
        (27 * 2 + 98 * 0.5 + 48 * 6) / 1e6,
    ),
    (
        "Grok counts its reasoning next to the answer",
        XAI,
        "xai/grok-4.7",
        usage(32, 9, {"text_tokens": 32}, {"reasoning_tokens": 415}, total_tokens=456),
        (32 * 2 + 424 * 6) / 1e6,
    ),
    (
        "Qwen Flash past 256k tokens: 0.25, output 2.00",
        QWEN,
        "dashscope/qwen-flash",
        usage(300_000, 1_000),
        (300_000 * 0.25 + 1_000 * 2) / 1e6,
    ),
]


@pytest.mark.parametrize(("name", "source", "model", "said", "dollars"), DOCUMENTED)
def test_the_documented_examples(name, source, model, said, dollars):
    listed = look_up(model)
    info = ModelInfo(
        model, input_usd=listed.input_usd, output_usd=listed.output_usd, rates=listed.rates
    )
    used = usage_of(said, info)
    assert used.cost_micro_usd == pytest.approx(dollars * 1_000_000, rel=0.05), (name, source)
    most = reservation_for(info, used.input_tokens, used.output_tokens).cost_usd
    hour = said.get("cache_creation", {}).get("ephemeral_1h_input_tokens", 0)
    assert most >= used.cost_micro_usd or hour


def test_what_openrouter_charges_counts():
    said = usage(194, 2, {"cached_tokens": 0, "cache_write_tokens": 100}, {}, cost=0.95)
    known = {"input_usd": 1_000_000, "output_usd": 2_000_000}
    charging = ModelInfo("openrouter/some/model", **known, charges=True)
    assert usage_of(said, charging).cost_micro_usd == 950_000
    assert usage_of(said, charging).cache_write_tokens == 100
    by_key = {"cost_details": {"upstream_inference_cost": 19}}
    assert usage_of({**said, **by_key}, charging).cost_micro_usd == 950_000
    assert usage_of({**said, **by_key, "is_byok": True}, charging).cost_micro_usd == 19_950_000
    assert usage_of({**said, "is_byok": True}, charging).cost_micro_usd == 198


@pytest.mark.parametrize("cost", [0, -1, True, "0.95", None, float("nan"), float("inf"), {}])
def test_a_charge_that_says_nothing_leaves_the_price(cost):
    charging = ModelInfo("openrouter/m", input_usd=1_000_000, output_usd=2_000_000, charges=True)
    assert usage_of(usage(194, 2, cost=cost), charging).cost_micro_usd == 198


def test_another_server_is_not_believed():
    info = ModelInfo("openai/m", input_usd=1_000_000, output_usd=2_000_000)
    assert usage_of(usage(194, 2, cost=0.95), info).cost_micro_usd == 198
