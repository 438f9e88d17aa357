"""The table of dialects: which one a model speaks, and that each row can be checked."""

from __future__ import annotations

import re

import pytest

from engine.dialects.problems import problems
from engine.dialects.table import DIALECTS, dialect_of


@pytest.mark.parametrize(
    ("model", "dialect"),
    [
        ("openai/gpt-5-mini", "openai"),
        ("gpt-5-mini", "openai"),
        ("litellm/openai/gpt-5-mini", "openai"),
        ("anthropic/claude-sonnet-4-5", "anthropic"),
        ("claude-sonnet-4-5", "anthropic"),
        ("vertex_ai/claude-sonnet-4-5@20250929", "anthropic"),
        ("azure_ai/claude-opus-4-5", "anthropic"),
        ("openrouter/anthropic/claude-sonnet-4.5", "anthropic"),
        ("openrouter/google/gemini-3-pro", "gemini"),
        ("bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0", "bedrock"),
        ("gemini/gemini-2.5-flash", "gemini"),
        ("vertex_ai/gemini-2.5-flash", "gemini"),
        ("azure/my-deployment", "azure"),
        ("groq/openai/gpt-oss-120b", "groq"),
        ("mistral/mistral-small-latest", "mistral"),
        ("xai/grok-4", "xai"),
        ("deepseek/deepseek-chat", "deepseek"),
        ("ollama/llama3.2", "ollama"),
        ("ollama_chat/llama3.2", "ollama"),
        ("llamafile/mistral", "llamacpp"),
        ("local/model.gguf", "llamacpp"),
        ("hosted_vllm/any", "compatible"),
        ("nobody/knows", "compatible"),
    ],
)
def test_the_dialect_of_a_model(model: str, dialect: str) -> None:
    assert dialect_of(model).name == dialect


def test_a_server_of_ones_own_is_not_known_by_the_id() -> None:
    assert dialect_of("openai/qwen", own_server=True).name == "compatible"
    assert dialect_of("deepseek/deepseek-v3", own_server=True).name == "compatible"
    assert dialect_of("openai/claude-by-proxy", own_server=True).name == "anthropic"


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=lambda row: row.name)
def test_each_row_names_its_sources_and_their_date(dialect) -> None:  # type: ignore[no-untyped-def]
    assert dialect.sources
    for source in dialect.sources:
        assert source.url.startswith("https://")
        assert re.fullmatch(r"20\d\d(-\d\d){0,2}", source.date)


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=lambda row: row.name)
def test_each_row_refuses_what_strict_providers_refuse(dialect) -> None:  # type: ignore[no-untyped-def]
    """A validator that takes everything would prove nothing."""
    faulty = {
        "type": "object",
        "properties": {"a": {"$ref": "#/$defs/A", "description": "beside"}, "b": {"enum": ["x"]}},
        "required": ["a", "b"],
        "additionalProperties": False,
        "$defs": {"A": {"type": "string", "not": {}}},
    }
    found = problems(faulty, dialect)
    if dialect.native:
        assert "a `$ref` with other keywords next to it" in found
        assert "an enumeration without a type" in found
        assert "the keyword `not`" in found
    else:
        assert found == [f"{dialect.title} takes no schema"]
