"""The variables of the environment that hold keys of model providers: one table.

Programs do not declare them, for it is LiteLLM and the providers' own libraries that read them (and
Temporal's, for a cluster). So this says which they are: they are kept from the processes that a run
starts, and taken out of what comes back. Keys of other services (search, mail, databases) are not
here; a program that uses them declares them as `secret`. Nothing here reads the environment by
itself.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping

__all__ = ["is_provider_key", "key_values"]

#: Providers whose key is `NAME_API_KEY`.
_API_KEYS = """
    ABLITERATION AI21 AIAND AIHUBMIX AIML AIMLAPI ALEPHALPHA ALEPH_ALPHA AMAZON_NOVA ANTHROPIC
    ANTHROPIC_AWS ANYSCALE ARK ASSEMBLYAI AZURE AZURE_AI AZURE_OPENAI AZURE_SPEECH BASETEN
    BEDROCK_MANTLE BFL BIGMODEL BLACK_FOREST_LABS BYTEZ CEREBRAS CHARITY_ENGINE CHUTES CLARIFAI
    CLF_AI_GATEWAY CLOUDFLARE CO CODESTRAL COGNITION COHERE COMETAPI COMPACTIFAI CORALBRICKS CORTECS
    CRUSOE DARKBLOOM DASHSCOPE DATABRICKS DEEPGRAM DEEPINFRA DEEPSEEK DOCKER_MODEL_RUNNER EDENAI
    ELEVENLABS EMPIRIOLABS EMPOWER FAL FAL_AI FEATHERLESS FEATHERLESS_AI FIREWORKS FIREWORKSAI
    FIREWORKS_AI FRIENDLIAI GALADRIEL GDC GEMINI GIGACHAT GITHUB GMI GOOGLE GOOGLE_GENAI
    GOOGLE_GENERATIVE_AI GRADIENT_AI GROQ HELICONE HEROKU HOSTED_VLLM HOSTINGER_ROUTER HUGGINGFACE
    HYPERBOLIC INCEPTION INFERENCEAPIS INFINITY JINA JINA_AI KYMA LAMBDA LANGFLOW LANGGRAPH LEMONADE
    LIBERTAI LITELLM LITELLM_PROXY LLAMA LLAMAFILE LLAMAGATE LM_STUDIO MANUS MARITALK META MINIMAX
    MISTRAL MISTRAL_AZURE MODELSCOPE MOONSHOT MORPH NADIR NANOGPT NEBIUS NEOSANTARA NLP_CLOUD NOVITA
    NSCALE NVIDIA NVIDIA_NIM NVIDIA_RIVA OLLAMA OPENAI OPENAI_LIKE OPENCODE OPENCODE_GO OPENINFER
    OPENROUTER OR OVHCLOUD PALM PARASAIL PERPLEXITY PERPLEXITYAI PINSTRIPES POE PREDIBASE PRISM
    PUBLICAI QWENCLOUD QWEN_AI_PLATFORM RECRAFT REFUSELESS REKA REPLICATE RUNWAYML SAIL SAMBANOVA
    SARVAM SCALEDOWN SCX SONIOX STABILITY STIMA STRANDS_DECIDER STREAMLAKE SYNTHETIC TENCENT
    TENSORMESH_INFERENCE TOGETHER TOGETHERAI TOGETHER_AI TOPAZ TYPESAFE V0 VENICE_AI
    VERCEL_AI_GATEWAY VERTEXAI VERTEX_AI VLLM VOLCENGINE VOYAGE VOYAGE_AI WALLY WANDB WATSONX WX XAI
    XIAOMI_MIMO XINFERENCE ZAI ZEROGPU
"""
#: Keys, tokens and passwords of other names.
_OTHERS = """
    AICORE_CLIENT_SECRET AICORE_SERVICE_KEY AIMLAPI_KEY ANTHROPIC_ADMIN_KEY ANTHROPIC_AUTH_TOKEN
    ANTHROPIC_IDENTITY_TOKEN AWS_ACCESS_KEY_ID AWS_BEARER_TOKEN_BEDROCK
    AWS_CONTAINER_AUTHORIZATION_TOKEN AWS_SECRET_ACCESS_KEY AWS_SECURITY_TOKEN AWS_SESSION_TOKEN
    AWS_WEB_IDENTITY_TOKEN AZURE_AD_TOKEN AZURE_CLIENT_CERTIFICATE_PASSWORD AZURE_CLIENT_SECRET
    AZURE_OPENAI_AD_TOKEN AZURE_PASSWORD CLAUDE_CODE_OAUTH_TOKEN COMETAPI_KEY
    DATABRICKS_CLIENT_SECRET DATABRICKS_TOKEN DATAROBOT_API_TOKEN FAL_KEY FIREWORKS_AI_TOKEN
    FRIENDLI_TOKEN GIGACHAT_ACCESS_TOKEN GIGACHAT_CREDENTIALS HF_TOKEN HUGGINGFACEHUB_API_TOKEN
    HUGGING_FACE_HUB_TOKEN JINA_AI_TOKEN LITELLM_MASTER_KEY OCI_KEY OPENAI_ADMIN_KEY
    REPLICATE_API_TOKEN RUNWAYML_API_SECRET SCW_SECRET_KEY SNOWFLAKE_JWT TOGETHER_AI_TOKEN
    VERCEL_OIDC_TOKEN VOYAGE_AI_TOKEN WATSONX_APIKEY WATSONX_TOKEN WATSONX_ZENAPIKEY
    TEMPORAL_API_KEY TEMPORAL_TLS_CLIENT_KEY
"""
#: What holds a key or the path of one.
_EITHER = "GOOGLE_APPLICATION_CREDENTIALS VERTEXAI_CREDENTIALS VERTEX_CREDENTIALS"

_NAMES = frozenset([*(f"{name}_API_KEY" for name in _API_KEYS.split()), *_OTHERS.split()])
_PATHS = frozenset(_EITHER.split())
#: Ends of names that belong to a key but hold none: `HF_TOKEN_PATH`.
_NO_KEYS = ("_PATH", "_FILE", "_DIR", "_URL", "_URI", "_BASE", "_VERSION", "_REGION", "_ENDPOINT")
#: A value that is shorter is one made up for a server that only needs some value.
_MIN_LENGTH = 8
_MADE_UP = frozenset({"lm-studio", "no-key-needed", "no-key-required", "not-needed", "not_needed",
                      "placeholder", "anything", "undefined", "sk-no-key-required"})  # fmt: skip


def is_provider_key(name: str, models: Iterable[str] = ()) -> bool:
    """Whether a variable holds a key of a provider, or leads to one.

    A known name may continue: `AZURE_API_KEY_EU`, `HF_TOKEN_PATH`.

    Args:
        models: Ids of models, whose providers count too where the table does not know them.
    """
    if _is_known(name):
        return True
    stem, suffix, rest = name.upper().partition("_API_KEY")
    return bool(suffix) and not rest and stem in {_stem(model_id) for model_id in models}


@functools.lru_cache(maxsize=4096)
def _is_known(name: str) -> bool:
    upper = name.upper()
    parts = upper.split("_")
    return upper in _PATHS or any(
        "_".join(parts[:length]) in _NAMES for length in range(2, len(parts) + 1)
    )


def key_values(environment: Mapping[str, str], models: Iterable[str] = ()) -> dict[str, str]:
    """The keys that are set, by their names: what is to be taken out of everything.

    Left out are values that are not keys: paths, and words such as `not-needed`.

    Args:
        models: As for `is_provider_key`.
    """
    ids = tuple(models)
    return {
        name: value
        for name, value in environment.items()
        if is_provider_key(name, ids) and _is_key(name.upper(), value.strip())
    }


def _is_key(name: str, value: str) -> bool:
    if len(value) < _MIN_LENGTH or value.lower() in _MADE_UP:
        return False
    if name in _PATHS:
        return value.startswith("{")
    return name in _NAMES or not name.endswith(_NO_KEYS)


def _stem(model_id: str) -> str:
    """What the variables of a model's provider begin with."""
    return model_id.partition("/")[0].upper().replace("-", "_").replace(".", "_")
