"""Models of providers: which gateway asks one, OpenAI's protocol directly or LiteLLM.

`engine.models.registry` imports this when a run has such a model, so that a run without one imports
no gateway. Each gateway imports its own HTTP client, in a thread if it is warmed.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from engine.models import litellm, openai_gateway
from engine.models.answers import flat_options
from engine.models.endpoints import THROUGH_LITELLM, endpoint_of
from engine.runtime.ports import ChatModel
from engine.schemes import split_id
from engine.sema.model import Model

__all__ = ["provider_model", "warm_gateways"]


def provider_model(model: Model, model_id: str) -> ChatModel:
    """A model of a provider: asked directly where that needs no translation."""
    if _is_direct(model, model_id):
        return openai_gateway.OpenAIModel(model_id)
    return litellm.LiteLLMModel(model_id.removeprefix(THROUGH_LITELLM))


def warm_gateways(asked: Sequence[tuple[Model, str]]) -> None:
    """Begin to import the clients that will ask these models, by model and id in force."""
    direct = [split_id(name)[0] == "local" or _is_direct(model, name) for model, name in asked]
    if any(direct):
        openai_gateway.warm()
    if not all(direct):
        litellm.warm()


def _is_direct(model: Model, model_id: str) -> bool:
    return endpoint_of(model_id, flat_options(model.options), os.environ) is not None
