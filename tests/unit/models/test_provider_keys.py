"""The table of providers' keys holds what the installed LiteLLM reads."""

from __future__ import annotations

import importlib.util
import json
import re
from pathlib import Path

import pytest

from engine.provider_keys import is_provider_key, key_values

#: Names that LiteLLM reads besides: of its proxy and its integrations, of services that are no
#: models (search, stores, sandboxes), and numbers of tokens.
OTHERS = re.compile(
    r"^(?:AGENTCORE|APISERPENT|ARIZE|BING|BRAVE|CRW|DATAFORSEO|E2B|EXA|FIRECRAWL|GOOGLE_PSE|LANGTRACE"
    r"|LINKUP|LITELLM_(?!API_KEY|PROXY_API_KEY)|LOGFIRE|MCP|MILVUS|MONGODB|NIMBLE|PARALLEL|PG_VECTOR"
    r"|PHOENIX|PROGRAMMATIC|RAGFLOW|REDIS|SEARCHAPI|SEARXNG|SERPER|SIGNOZ|SLACK|TAVILY|TINYFISH"
    r"|YOUCOM|API_KEY|KEYPAIR_JWT)"
)
READ = re.compile(r"""(?:get_secret(?:_str)?|getenv|environ\.get)\(\s*["']([A-Z][A-Z0-9_]+)["']""")
KEY = re.compile(r"(?:_API_KEY|_APIKEY|_TOKEN|_SECRET|_ACCESS_KEY|_PASSWORD|_JWT)$")


def test_every_key_that_litellm_reads_is_known() -> None:
    spec = importlib.util.find_spec("litellm")
    assert spec is not None
    assert spec.origin is not None
    folder = Path(spec.origin).parent
    read: set[str] = set()
    for path in [folder / "main.py", folder / "utils.py", *folder.glob("llms/**/*.py")]:
        read |= set(READ.findall(path.read_text(encoding="utf-8")))
    listed = json.loads((folder / "llms/openai_like/providers.json").read_text())
    read |= {entry["api_key_env"] for entry in listed.values()}
    keys = {name for name in read if KEY.search(name) and not OTHERS.match(name)}
    assert len(keys) > 100, "the sources are written in another way now"
    assert {name for name in keys if not is_provider_key(name)} == set()


@pytest.mark.parametrize(
    "name",
    ["OPENAI_API_KEY", "AZURE_API_KEY_EU", "HF_TOKEN", "AWS_SECRET_ACCESS_KEY", "openai_api_key",
     "GOOGLE_APPLICATION_CREDENTIALS", "HF_TOKEN_PATH"],
)  # fmt: skip
def test_keys(name: str) -> None:
    assert is_provider_key(name)


@pytest.mark.parametrize(
    "name",
    ["PATH", "AWS_REGION", "AWS_PROFILE", "GITHUB_TOKEN", "TAVILY_API_KEY", "X_OPENAI_API_KEY"],
)
def test_other_variables(name: str) -> None:
    assert not is_provider_key(name)


def test_the_providers_of_a_programs_models_count() -> None:
    assert not is_provider_key("ACME_API_KEY")
    assert is_provider_key("ACME_API_KEY", ["acme/large"])
    assert is_provider_key("ACME_AI_API_KEY", ["acme-ai/large"])


def test_only_what_is_a_key_is_taken_for_one() -> None:
    environment = {
        "OPENAI_API_KEY": "sk-0123456789",
        "OLLAMA_API_KEY": "ollama",
        "LM_STUDIO_API_KEY": "lm-studio",
        "HF_TOKEN_PATH": "/home/me/.cache/token",
        "GOOGLE_APPLICATION_CREDENTIALS": "/home/me/key.json",
        "VERTEXAI_CREDENTIALS": '{"private_key": "x"}',
        "PATH": "/usr/bin:/bin",
    }
    assert set(key_values(environment)) == {"OPENAI_API_KEY", "VERTEXAI_CREDENTIALS"}
