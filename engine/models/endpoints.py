"""Which models are asked directly, in OpenAI's protocol, and where.

A row for each provider that speaks the protocol as OpenAI wrote it down, so that asking needs no
translation. Everything else, and every id that begins with `litellm/`, goes through LiteLLM. Names
of variables are those that LiteLLM reads, so that a program need not know which way it goes.
Nothing here opens a connection.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from engine.prices import look_up

__all__ = [
    "THROUGH_LITELLM",
    "Endpoint",
    "endpoint_of",
    "key_variables",
    "provider_rows",
    "speaks_openai",
]

#: What an id begins with that is to go through LiteLLM in any case.
THROUGH_LITELLM = "litellm/"


class _Provider(msgspec.Struct, frozen=True):
    """One provider.

    Attributes:
        base: Its address, or "" where every user has one of their own.
        bases: Variables that name another address, the first that is set wins.
        keys: Variables that hold the key.
        keyless: Whether it may be asked without a key.
    """

    base: str = ""
    bases: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    keyless: bool = False


_OLLAMA = _Provider(
    "http://127.0.0.1:11434", ("OLLAMA_API_BASE",), ("OLLAMA_API_KEY",), keyless=True
)
_PROVIDERS: dict[str, _Provider] = {
    "openai": _Provider(
        "https://api.openai.com/v1", ("OPENAI_BASE_URL", "OPENAI_API_BASE"), ("OPENAI_API_KEY",)
    ),
    "openrouter": _Provider(
        "https://openrouter.ai/api/v1",
        ("OPENROUTER_API_BASE", "OR_API_BASE"),
        ("OPENROUTER_API_KEY", "OR_API_KEY"),
    ),
    "hosted_vllm": _Provider("", ("HOSTED_VLLM_API_BASE",), ("HOSTED_VLLM_API_KEY",), keyless=True),
    "lm_studio": _Provider("", ("LM_STUDIO_API_BASE",), ("LM_STUDIO_API_KEY",), keyless=True),
    "llamafile": _Provider("http://127.0.0.1:8080/v1", ("LLAMAFILE_API_BASE",), (), keyless=True),
    "ollama": _OLLAMA,
    "ollama_chat": _OLLAMA,
    "azure": _Provider("", ("AZURE_API_BASE",), ("AZURE_API_KEY",)),
}
#: Options that only LiteLLM, or a provider's own protocol, knows what to do with.
_ONLY_LITELLM = frozenset(
    {
        "azure_ad_token",
        "azure_ad_token_provider",
        "base_model",
        "client_id",
        "client_secret",
        "custom_llm_provider",
        "keep_alive",
        "mirostat",
        "mock_response",
        "num_ctx",
        "num_gpu",
        "repeat_penalty",
        "tenant_id",
        "think",
    }
)
#: The version of Azure's API where nothing names one: the first with structured outputs.
_AZURE_VERSION = "2024-10-21"


class Endpoint(msgspec.Struct, frozen=True):
    """Where one model is asked.

    Attributes:
        provider: LiteLLM's name of the provider.
        url: The address of its chat completions.
        model: What to call the model there; "" where the address names it.
        headers: What identifies the caller.
        lacks: The variable of a key that is missing, "" if none is.
        own: Whether the address is the provider's own.
    """

    provider: str
    url: str
    model: str
    headers: Mapping[str, str]
    lacks: str = ""
    own: bool = False


def speaks_openai(model_id: str) -> bool:
    """Whether a model's provider is one that is asked directly; options may still forbid it."""
    provider, slash, name = model_id.partition("/")
    if not slash:
        listed = look_up(model_id)
        return listed is not None and listed.provider == "openai" and _is_chat(model_id)
    if provider not in _PROVIDERS or name.startswith("responses/"):
        return False
    return provider != "openai" or _is_chat(model_id)


def provider_rows() -> list[tuple[str, str, tuple[str, ...]]]:
    """Each provider that is asked directly: its name, its address, the variables that are read."""
    return [(name, row.base, (*row.keys, *row.bases)) for name, row in _PROVIDERS.items()]


def key_variables(model_id: str) -> tuple[str, ...]:
    """The variables that may hold the key of a model, if its provider is in this table."""
    provider, slash, _ = model_id.removeprefix(THROUGH_LITELLM).partition("/")
    row = _PROVIDERS.get(provider if slash else "openai")
    return () if row is None else row.keys


def _is_chat(model_id: str) -> bool:
    """Whether a model answers chat completions; some of OpenAI's know its newer protocol only."""
    listed = look_up(model_id)
    return listed is None or listed.mode in (None, "chat")


def endpoint_of(
    model_id: str, options: Mapping[str, Any], environment: Mapping[str, str]
) -> Endpoint | None:
    """Where to ask a model, or None where only LiteLLM can."""
    if not speaks_openai(model_id) or not _ONLY_LITELLM.isdisjoint(options):
        return None
    provider, slash, name = model_id.partition("/")
    if not slash:
        provider, name = "openai", model_id
    row = _PROVIDERS[provider]
    base = str(options.get("api_base") or options.get("base_url") or "")
    base = base or next((environment[v] for v in row.bases if environment.get(v)), row.base)
    key = str(
        options.get("api_key") or next((environment[v] for v in row.keys if environment.get(v)), "")
    )
    if not base:
        return None  # LiteLLM says what to set
    base = base.rstrip("/")
    if provider == "azure":
        return _azure(name, base, key, options, environment)
    if provider.startswith("ollama") and not base.endswith("/v1"):
        base += "/v1"
    own = base == row.base
    lacks = "" if key or row.keyless or not own else row.keys[0]
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    if provider == "openai":
        headers |= _organisation(options, environment)
    return Endpoint(provider, f"{base}/chat/completions", name, headers, lacks, own)


def _first(names: tuple[str, ...], environment: Mapping[str, str]) -> str:
    return next((environment[name] for name in names if environment.get(name)), "")


def _organisation(options: Mapping[str, Any], environment: Mapping[str, str]) -> dict[str, str]:
    organisation = options.get("organization") or environment.get("OPENAI_ORGANIZATION") or ""
    project = environment.get("OPENAI_PROJECT") or ""
    named = {"OpenAI-Organization": str(organisation), "OpenAI-Project": project}
    return {name: value for name, value in named.items() if value}


def _azure(
    name: str,
    base: str,
    key: str,
    options: Mapping[str, Any],
    environment: Mapping[str, str],
) -> Endpoint | None:
    """Azure names the model in the address, and has the key in a header of its own."""
    if not key:
        return None  # it has other ways to sign in, which LiteLLM knows
    headers = {"api-key": key}
    if base.endswith("/openai/v1"):
        return Endpoint("azure", f"{base}/chat/completions", name, headers)
    version = options.get("api_version") or environment.get("AZURE_API_VERSION") or _AZURE_VERSION
    url = f"{base}/openai/deployments/{name}/chat/completions?api-version={version}"
    return Endpoint("azure", url, name, headers)
