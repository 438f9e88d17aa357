#!/usr/bin/env bash
# LiteLLM 1.106.2: its price table and its parameter list disagree on who takes a JSON Schema.
#
# The table's `supports_response_schema` is true for chat models whose provider, by
# `get_supported_openai_params`, does not take `response_format`: asked with one they fail or ignore
# it. Seen: 36 models of bedrock, cohere_chat, amazon_nova, replicate and snowflake.
set -euo pipefail
work="$(mktemp -d)"
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check litellm==1.106.2
"$work/venv/bin/python" - <<'PYTHON'
import os
from collections import Counter

os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
import litellm

found = Counter()
for name, row in litellm.model_cost.items():
    if not row.get("supports_response_schema") or row.get("mode") != "chat":
        continue
    provider = row.get("litellm_provider")
    try:
        takes = litellm.get_supported_openai_params(name, custom_llm_provider=provider)
    except Exception:  # a provider that needs an installed extra to answer
        continue
    if takes is not None and "response_format" not in takes:
        found[provider] += 1
print(dict(found), found.total())
assert found == {
    "bedrock": 7,
    "cohere_chat": 1,
    "amazon_nova": 4,
    "replicate": 12,
    "snowflake": 12,
}, "the behaviour has changed"
PYTHON
