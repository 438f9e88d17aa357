"""What a run knows of a model before it asks it: price, context window, native schemas.

Resolved once at the start of a run and journaled, so a resumed run reserves and renders as the
first one did. Prices come from the program (`price`), else from LiteLLM's table read as a file;
a price that neither knows is None, never zero. LiteLLM itself is never imported here.
"""

from __future__ import annotations

import os

import msgspec

from engine.dialects.table import dialect_of
from engine.events import ModelInfo
from engine.models.charges import REPORTING
from engine.models.recorded import recorded_info
from engine.models.scripted import Scripted, read_script
from engine.prices import Rates, look_up
from engine.schemes import LOCAL_CONTEXT, split_id
from engine.sema.model import Model, declared_rates

__all__ = ["resolve_info"]


def resolve_info(model: Model, override: object = None) -> ModelInfo:
    """What is known of a model.

    Args:
        model: As the program declares it.
        override: What replaces it: an id (`--model NAME=ID`), a `Scripted`, a policy
            function or a `ChatModel`; None for the declared id.

    Raises:
        UsageError: A script or a recording that is needed cannot be read.
    """
    used = model.id if override is None else override
    if isinstance(used, str):
        return _declared(model, _of_id(model, used), free=split_id(used)[0] == "python")
    metered = isinstance(used, Scripted) and used.has_usage
    name = getattr(used, "__qualname__", type(used).__qualname__)
    info = ModelInfo(id=f"memory/{name}", metered=metered)
    if isinstance(used, Scripted):
        info = msgspec.structs.replace(info, input_usd=0, output_usd=0)
    is_policy = not isinstance(used, Scripted) and not hasattr(used, "complete")
    return _declared(model, info, free=is_policy)


def _of_id(model: Model, model_id: str) -> ModelInfo:
    scheme, rest = split_id(model_id)
    path = os.path.join(model.base_dir, rest)
    if scheme == "python":
        return ModelInfo(id=model_id, metered=False)
    if scheme == "scripted":
        metered = read_script(path).has_usage
        return ModelInfo(id=model_id, metered=metered, input_usd=0, output_usd=0)
    if scheme == "recorded":
        return msgspec.structs.replace(recorded_info(path, model.name), id=model_id)
    if scheme == "local":
        return ModelInfo(
            id=model_id,
            input_usd=0,
            output_usd=0,
            context=LOCAL_CONTEXT,
            native=True,
            dialect=dialect_of(model_id).name,
        )
    if scheme is not None:
        return ModelInfo(id=model_id)
    dialect = dialect_of(model_id, own_server="api_base" in model.options)
    listed = look_up(model_id)
    if listed is None:
        return ModelInfo(id=model_id, dialect=dialect.name)
    return ModelInfo(
        id=model_id,
        input_usd=listed.input_usd,
        output_usd=listed.output_usd,
        context=listed.context,
        native=listed.native and dialect.native,
        dialect=dialect.name,
        rates=_needed(listed.rates),
    )


def _needed(rates: tuple[Rates, ...]) -> tuple[Rates, ...]:
    """Rates, where the prices of prompt and answer alone do not say all."""
    if len(rates) == 1 and rates[0] == Rates(rates[0].input_usd, rates[0].output_usd):
        return ()
    return rates


def _declared(model: Model, info: ModelInfo, *, free: bool) -> ModelInfo:
    """What the program says comes before what is known; a policy stays free of charge."""
    if model.price is not None and not free:
        rates = declared_rates(model.price)
        info = msgspec.structs.replace(
            info,
            metered=True,
            input_usd=rates.input_usd,
            output_usd=rates.output_usd,
            rates=_needed((rates,)),
        )
    elif not free and info.id.removeprefix("litellm/").partition("/")[0] in REPORTING:
        info = msgspec.structs.replace(info, charges=True)
    if model.context is not None:
        info = msgspec.structs.replace(info, context=model.context)
    if model.structured != "auto":
        info = msgspec.structs.replace(info, native=model.structured == "native")
    return info
