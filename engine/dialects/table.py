"""The dialects that are known, and which of them a model id speaks.

Each row goes by what its provider documents, or where the documents are silent by what it was
reported to refuse; `sources` says which. A row is deliberately narrow: a schema that fits it is
accepted, one that does not goes into the prompt.
"""

from __future__ import annotations

from engine.dialects.dialect import Dialect, Source

__all__ = ["DIALECTS", "dialect_of", "known"]

_JSON_FORMATS = frozenset(
    {"date", "date-time", "duration", "email", "hostname", "ipv4", "ipv6", "time", "uuid"}
)
_BOUNDS = frozenset({"maximum", "minimum", "exclusiveMaximum", "exclusiveMinimum", "multipleOf"})
_ITEMS = frozenset({"minItems", "maxItems"})

_OPENAI_GUIDE = Source(
    "OpenAI, Structured model outputs, Supported schemas",
    "https://platform.openai.com/docs/guides/structured-outputs",
    "2026-02",
)
_CLAUDE_GUIDE = Source(
    "Anthropic, Structured outputs, JSON Schema limitations",
    "https://platform.claude.com/docs/en/build-with-claude/structured-outputs",
    "2026-02",
)

_ROWS = (
    Dialect(
        name="openai",
        title="OpenAI",
        strict=True,
        max_depth=10,
        max_properties=5_000,
        max_enum=1_000,
        max_long_enum=15_000,
        max_characters=120_000,
        recursion=True,
        keywords=_BOUNDS | _ITEMS | {"format"},
        formats=_JSON_FORMATS,
        sources=(
            _OPENAI_GUIDE,
            Source(
                "a `$ref` with a description next to it is refused",
                "https://github.com/camel-ai/camel/issues/3001",
                "2025",
            ),
        ),
        remark="`pattern` is left out: which regular expressions are accepted is not documented.",
    ),
    Dialect(
        name="azure",
        title="Azure OpenAI",
        strict=True,
        max_depth=5,
        max_properties=100,
        max_enum=500,
        recursion=True,
        sources=(
            Source(
                "Microsoft, Structured outputs, Supported schemas and limitations",
                "https://learn.microsoft.com/azure/ai-services/openai/how-to/structured-outputs",
                "2025",
            ),
        ),
        remark="Lists and bounds are not among the keywords that Azure documents.",
    ),
    Dialect(
        name="anthropic",
        title="Anthropic",
        optional="absent",
        max_unions=16,
        max_optional=24,
        refs=False,
        keywords=frozenset({"format"}),
        formats=_JSON_FORMATS | {"uri"},
        sources=(
            _CLAUDE_GUIDE,
            Source(
                "the refusal that quotes the limit of 16 unions",
                "https://github.com/vercel/ai/issues/17268",
                "2026",
            ),
        ),
        remark="References are written out, for LiteLLM drops `$defs` on the way to Claude.",
    ),
    Dialect(
        name="bedrock",
        title="Amazon Bedrock",
        optional="absent",
        max_unions=16,
        max_optional=24,
        refs=False,
        sources=(
            Source(
                "AWS, Get validated JSON results from models",
                "https://docs.aws.amazon.com/bedrock/latest/userguide/structured-output.html",
                "2026-02",
            ),
            _CLAUDE_GUIDE,
        ),
        remark="Claude's limits on unions and optional keys hold there too.",
    ),
    Dialect(
        name="gemini",
        title="Google Gemini",
        optional="absent",
        refs=False,
        mixed_enum=False,
        keywords=frozenset({"minimum", "maximum", *_ITEMS}),
        sources=(
            Source(
                "Google, Structured output, JSON Schema support",
                "https://ai.google.dev/gemini-api/docs/structured-output",
                "2026-02-26",
            ),
            Source(
                "enumerations of numbers are refused",
                "https://github.com/diegosouzapw/OmniRoute/pull/760",
                "2026-03-29",
            ),
        ),
        remark=(
            "Recursion is unrolled to a finite depth there, so it goes into the prompt. Schemas "
            "with too many states are refused at a size that is not documented."
        ),
    ),
    Dialect(
        name="groq",
        title="Groq",
        strict=True,
        max_depth=10,
        max_properties=5_000,
        max_enum=1_000,
        sources=(
            Source(
                "Groq, Structured Outputs, strict mode",
                "https://console.groq.com/docs/structured-outputs",
                "2026",
            ),
        ),
        remark="Limits on sizes are not documented; OpenAI's are kept.",
    ),
    Dialect(
        name="mistral",
        title="Mistral",
        strict=True,
        max_depth=10,
        max_enum=1_000,
        sources=(
            Source(
                "Mistral, Custom structured outputs",
                "https://docs.mistral.ai/capabilities/structured_output/custom",
                "2026-03",
            ),
        ),
        remark="Limits on sizes are not documented.",
    ),
    Dialect(
        name="xai",
        title="xAI",
        optional="absent",
        keywords=frozenset({"format"}),
        formats=frozenset({"date", "time", "date-time", "email", "uuid", "ipv4"}),
        sources=(
            Source(
                "xAI, Structured Outputs, JSON Schema support",
                "https://docs.x.ai/developers/model-capabilities/text/structured-outputs",
                "2026",
            ),
        ),
    ),
    Dialect(
        name="deepseek",
        title="DeepSeek",
        native=False,
        sources=(
            Source(
                "DeepSeek, Create chat completion (`text` and `json_object` alone)",
                "https://api-docs.deepseek.com/api/create-chat-completion/",
                "2026-07",
            ),
        ),
        remark="LiteLLM's table says that it takes schemas; its chat completions refuse them.",
    ),
    Dialect(
        name="ollama",
        title="Ollama",
        optional="absent",
        recursion=True,
        open_objects=True,
        any_value=True,
        keywords=_ITEMS,
        sources=(
            Source(
                "Ollama, Structured outputs (`format`), compiled by llama.cpp",
                "https://docs.ollama.com/capabilities/structured-outputs",
                "2026",
            ),
        ),
    ),
    Dialect(
        name="llamacpp",
        title="llama.cpp",
        optional="absent",
        recursion=True,
        open_objects=True,
        any_value=True,
        keywords=_ITEMS,
        sources=(
            Source(
                "llama.cpp, grammars/README.md, JSON Schemas",
                "https://github.com/ggml-org/llama.cpp/blob/master/grammars/README.md",
                "2026",
            ),
        ),
        remark="`pattern` is left out: it is compiled into the grammar, where long ones are slow.",
    ),
    Dialect(
        name="compatible",
        title="a server that speaks OpenAI's protocol",
        strict=True,
        max_depth=10,
        max_properties=5_000,
        max_enum=1_000,
        max_characters=120_000,
        recursion=True,
        sources=(_OPENAI_GUIDE,),
        remark="What the server takes is not known, so nothing is sent that OpenAI would refuse.",
    ),
)

DIALECTS: dict[str, Dialect] = {row.name: row for row in _ROWS}

#: Dialects by LiteLLM's name of the provider.
_PROVIDERS = {
    "anthropic": "anthropic",
    "azure": "azure",
    "azure_ai": "azure",
    "bedrock": "bedrock",
    "bedrock_converse": "bedrock",
    "bedrock_mantle": "bedrock",
    "deepseek": "deepseek",
    "gemini": "gemini",
    "groq": "groq",
    "llamafile": "llamacpp",
    "local": "llamacpp",
    "mistral": "mistral",
    "ollama": "ollama",
    "ollama_chat": "ollama",
    "openai": "openai",
    "vertex_ai": "gemini",
    "vertex_ai_beta": "gemini",
    "xai": "xai",
}
#: Models whose own provider's limits hold wherever they are hosted.
_FAMILIES = (("claude", "anthropic"), ("gemini", "gemini"))


def known(name: str) -> Dialect:
    """The dialect of that name; `compatible` for a name of a later version."""
    return DIALECTS.get(name, DIALECTS["compatible"])


def dialect_of(model_id: str, *, own_server: bool = False) -> Dialect:
    """The dialect that a model speaks, by its id.

    Args:
        model_id: As LiteLLM names it, with its provider or without.
        own_server: Whether `api_base` leads elsewhere than to the provider itself.
    """
    provider, slash, name = model_id.lower().partition("/")
    if provider == "litellm" and slash:
        return dialect_of(name, own_server=own_server)
    if not slash:
        provider, name = "", provider
    row = _PROVIDERS.get(provider, "compatible")
    if row != "bedrock":
        row = next((known for family, known in _FAMILIES if family in name), row)
    if not provider and name.startswith(("gpt-", "chatgpt-", "o1", "o3", "o4")):
        row = "openai"
    if own_server and row in ("openai", "deepseek"):
        row = "compatible"
    return DIALECTS[row]
