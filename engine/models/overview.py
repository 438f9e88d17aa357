"""What is known of each model of a program before anything is asked: `orch models`.

Says which id is in force, which way it is asked, in which dialect a schema is written, what it
costs, and whether its key is set. A key itself never leaves this module, not even in part. Nothing
is opened or called here; `engine.models.probe` asks.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from engine.errors import UsageError
from engine.events import ModelInfo
from engine.models import offline
from engine.models.answers import flat_options
from engine.models.endpoints import THROUGH_LITELLM, endpoint_of, key_variables
from engine.models.info import resolve_info
from engine.provider_keys import is_provider_key
from engine.schemes import split_id
from engine.sema.model import Model

__all__ = ["ModelFacts", "facts_of"]


class ModelFacts(msgspec.Struct, frozen=True):
    """What is known of one model.

    Attributes:
        name: Its name in the program.
        id: The id in force.
        way: Who asks it: `direct`, `litellm`, or the scheme of its id.
        url: Where it is asked, if it is asked directly; else None.
        dialect: How its provider wants schemas written.
        structured: `native`, `prompt`, or `none` where no prompt is read.
        context: The context window, in tokens; None if it is not known.
        input_usd: Micro-dollars for a million prompt tokens; None if it is not known.
        output_usd: The same for the answer's tokens.
        key: `set`, `missing`, `none` where it needs none, `unknown` where that cannot be told.
        key_variable: The variable that holds the key, or that is to be set; "" if there is none.
        max_tokens: The longest answer, in tokens.
        timeout_ms: How long an answer may take.
        max_concurrent: Calls at once; None for any number, as for the two that follow.
        rpm: Calls a minute.
        tpm: Tokens a minute.
        fallback: The models that are asked when it fails.
        problem: Why it cannot be used at all; "" if nothing is known against it.
    """

    name: str
    id: str
    way: str
    url: str | None
    dialect: str
    structured: str
    context: int | None
    input_usd: int | None
    output_usd: int | None
    key: str
    key_variable: str
    max_tokens: int
    timeout_ms: int
    max_concurrent: int | None
    rpm: int | None
    tpm: int | None
    fallback: tuple[str, ...]
    problem: str = ""


def facts_of(
    model: Model, override: str | None, environment: Mapping[str, str]
) -> tuple[ModelFacts, ModelInfo]:
    """Everything that is known of a model, and what a run would resolve of it.

    Args:
        override: The id that replaces the declared one, or None.
    """
    problem = ""
    try:
        info = resolve_info(model, override)
    except UsageError as error:
        info, problem = ModelInfo(id=override or model.id), str(error)
    scheme = split_id(info.id)[0]
    options = flat_options(model.options)
    endpoint = None if scheme else endpoint_of(info.id, options, environment)
    key, variable = _key(info.id, scheme, options, environment)
    native = info.native if model.structured == "auto" else model.structured == "native"
    reads = scheme in (None, "local", "recorded")
    facts = ModelFacts(
        name=model.name,
        id=info.id,
        way=scheme or ("litellm" if endpoint is None else "direct"),
        url=None if endpoint is None else endpoint.url,
        dialect=info.dialect if reads else "",
        structured=("native" if native else "prompt") if reads else "none",
        context=info.context,
        input_usd=info.input_usd,
        output_usd=info.output_usd,
        key=key,
        key_variable=variable,
        max_tokens=model.max_tokens,
        timeout_ms=model.timeout_ms,
        max_concurrent=model.max_concurrent,
        rpm=model.rpm,
        tpm=model.tpm,
        fallback=model.fallback,
        problem=problem,
    )
    return facts, info


def _key(
    model_id: str,
    scheme: str | None,
    options: Mapping[str, object],
    environment: Mapping[str, str],
) -> tuple[str, str]:
    """Whether a model's key is set, and in which variable."""
    if scheme is not None:
        return "none", ""
    if options.get("api_key"):
        return "set", "api_key"
    endpoint = endpoint_of(model_id, options, environment)
    names = key_variables(model_id)
    found = next((name for name in names if environment.get(name)), "")
    if endpoint is not None:
        if found:
            return "set", found
        return ("missing", endpoint.lacks) if endpoint.lacks else ("none", "")
    provider = model_id.removeprefix(THROUGH_LITELLM).partition("/")[0]
    if provider in ("bedrock", "sagemaker", "vertex_ai"):
        lacking = offline.lacking(provider, options, environment)
        return ("set", "") if lacking is None else ("missing", "")
    stem = provider.upper().replace("-", "_")
    ids = (model_id.removeprefix(THROUGH_LITELLM),)
    named = sorted(
        name
        for name in environment
        if name.startswith(_STEMS.get(provider, (f"{stem}_",))) and is_provider_key(name, ids)
    )
    if found or named:
        return "set", found or named[0]
    if options.get("api_base"):
        return "unknown", ""
    return "missing", names[0] if names else f"{stem}_API_KEY"


#: How the variables of a provider begin, where they do not begin with its name.
_STEMS = {
    "gemini": ("GEMINI_", "GOOGLE_API"),
    "huggingface": ("HUGGINGFACE_", "HF_"),
    "together_ai": ("TOGETHER", "TOGETHER_"),
}
