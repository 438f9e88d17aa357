"""What keeps LiteLLM from asking anybody but the provider of a model.

LiteLLM fetches tables, templates and tokenizers from GitHub and Hugging Face, some of them with
a blocking request in the middle of a call. It also reads a `.env` file that it
finds above its own folder. All of that is turned off here, before and right after its import. The
clouds' own libraries continue to the metadata service of the machine where no credentials are set
up; `lacking` finds that out before they do. Nothing here calls a model.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Mapping, MutableMapping
from typing import Any

__all__ = ["after_import", "before_import", "lacking"]

#: Each is read by LiteLLM when it is about to fetch a table: of prices, of Anthropic's headers.
_TABLES = ("LITELLM_LOCAL_MODEL_COST_MAP", "LITELLM_LOCAL_ANTHROPIC_BETA_HEADERS")
#: Where LiteLLM looks for the chat template of a model it does not know, at Hugging Face.
_TEMPLATES = "litellm.litellm_core_utils.prompt_templates.huggingface_template_handler"

_AWS_VARIABLES = (
    "AWS_ACCESS_KEY_ID",
    "AWS_BEARER_TOKEN_BEDROCK",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_PROFILE",
    "AWS_PROFILE_NAME",
    "AWS_ROLE_ARN",
    "AWS_ROLE_NAME",
    "AWS_WEB_IDENTITY_TOKEN",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
    "BEDROCK_MANTLE_API_KEY",
)
_AWS_OPTIONS = (
    "aws_access_key_id",
    "aws_profile_name",
    "aws_role_name",
    "aws_web_identity_token",
)
#: What in a profile of the shared files leads to credentials.
_AWS_PROFILE = frozenset(
    {
        "aws_access_key_id",
        "credential_process",
        "login_session",
        "role_arn",
        "sso_session",
        "sso_start_url",
        "web_identity_token_file",
    }
)
_GOOGLE_VARIABLES = (
    "GOOGLE_APPLICATION_CREDENTIALS",
    "VERTEXAI_CREDENTIALS",
    "VERTEX_CREDENTIALS",
)
_GOOGLE_OPTIONS = ("vertex_ai_credentials", "vertex_credentials")


def before_import(environment: MutableMapping[str, str]) -> None:
    """Set what LiteLLM reads when it is imported, and later at its first calls."""
    for name in _TABLES:
        environment[name] = "True"
    # In its other mode it loads the nearest `.env`, which may well be a stranger's.
    environment.setdefault("LITELLM_MODE", "PRODUCTION")


def after_import(litellm: Any) -> None:
    """Turn off what has no variable."""
    # Where a stream reports no usage, LiteLLM counts tokens itself.
    litellm.disable_hf_tokenizer_download = True
    templates = importlib.import_module(_TEMPLATES)
    for name in ("get_tokenizer_config", "get_chat_template_file"):
        setattr(templates, name, _not_found)
        setattr(templates, f"a{name}", _not_found_either)
    # The size of a model at Hugging Face is looked up there, also where `api_base` is elsewhere.
    utils: Any = importlib.import_module("litellm.utils")
    utils._get_max_position_embeddings = _no_size
    # An answer 422 is taken for a parameter too many, and the request is made again: with the
    # same body where the answer names none, and then without a result.
    protocol: Any = importlib.import_module("litellm.llms.openai.openai")
    protocol.drop_params_from_unprocessable_entity_error = _refuse


def _refuse(*given: Any, **named: Any) -> None:
    """Raise the error that a version of LiteLLM gives, among whatever else it gives."""
    raise next(value for value in (*given, *named.values()) if isinstance(value, Exception))


def _not_found(hf_model_name: str) -> dict[str, str]:
    """What LiteLLM gets of a template that is not there; it has one of its own for that case."""
    return {"status": "failure"}


async def _not_found_either(hf_model_name: str) -> dict[str, str]:
    return _not_found(hf_model_name)


def _no_size(model_name: str) -> None:
    return None


def lacking(
    provider: str, options: Mapping[str, Any], environment: Mapping[str, str]
) -> str | None:
    """What to set where a cloud's library would ask the machine's metadata service.

    That service is asked with a blocking request, on any machine, whatever answers there. So it is
    only asked where that is said outright.

    Args:
        provider: As LiteLLM names it.
        options: The options of the model.
    """
    if provider.startswith(("bedrock", "sagemaker")):
        allowed = environment.get("AWS_EC2_METADATA_DISABLED", "").lower() == "false"
        if allowed or _has_aws(options, environment):
            return None
        return (
            "needs credentials: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE; "
            "for the role of this machine, set AWS_EC2_METADATA_DISABLED=false"
        )
    if provider.startswith("vertex_ai"):
        allowed = environment.get("NO_GCE_CHECK", "").lower() == "false"
        if allowed or _has_google(options, environment):
            return None
        return (
            "needs credentials: set GOOGLE_APPLICATION_CREDENTIALS, or call `gcloud auth "
            "application-default login`; for the account of this machine, set NO_GCE_CHECK=false"
        )
    return None


def _has_aws(options: Mapping[str, Any], environment: Mapping[str, str]) -> bool:
    if any(environment.get(name) for name in _AWS_VARIABLES):
        return True
    if any(name in options for name in _AWS_OPTIONS):
        return True
    try:
        # LiteLLM imports it for such a model anyway; it reads files only.
        session = importlib.import_module("botocore.session").Session()
        profile: Mapping[str, Any] = session.get_scoped_config()
    except Exception:  # it is not installed, or a file is damaged: its own words say that better
        return True
    return not _AWS_PROFILE.isdisjoint(profile)


def _has_google(options: Mapping[str, Any], environment: Mapping[str, str]) -> bool:
    if any(environment.get(name) for name in _GOOGLE_VARIABLES):
        return True
    if any(name in options for name in _GOOGLE_OPTIONS):
        return True
    folder = environment.get("CLOUDSDK_CONFIG")
    if not folder:
        home = environment.get("APPDATA") or os.path.join(os.path.expanduser("~"), ".config")
        folder = os.path.join(home, "gcloud")
    return os.path.isfile(os.path.join(folder, "application_default_credentials.json"))
