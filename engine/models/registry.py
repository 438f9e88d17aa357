"""From a declared model to something that answers: opens a `ChatModel` by its id's scheme.

Limits (`max_concurrent`, `rpm`, `tpm`) and `--record` are put around it here. Everything that
can be known to be wrong before the first call is a `UsageError` here: a script that is not there,
a function that cannot be imported, an extra that is not installed.

A package adds a scheme by an entry point in the group `orch.models`: its name is the scheme, its
object a function `open(model, info, base_dir) -> ChatModel`.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import cast

from engine.callables import load_callable
from engine.errors import UsageError
from engine.events import ModelInfo
from engine.models.limiter import LimitedModel, Window, is_limited
from engine.models.local import LocalModel
from engine.models.policy import PolicyModel
from engine.models.recorded import RecordedModel, RecordingModel
from engine.models.scripted import Scripted, ScriptedModel, read_script
from engine.prices import look_up
from engine.redaction import Redactor
from engine.runtime.ports import ChatModel
from engine.schemes import plugin, split_id
from engine.sema.model import Model

__all__ = ["open_model", "warm"]


def open_model(
    model: Model,
    info: ModelInfo,
    *,
    base_dir: str | None = None,
    override: object = None,
    record_dir: str | None = None,
    redactor: Redactor | None = None,
    resumed: bool = False,
) -> ChatModel:
    """Open a model for one run.

    Args:
        model: As the program declares it.
        info: What `resolve_info` said of it; its `id` is the one in force.
        base_dir: Where relative ids are looked up; the declaring file's folder if None.
        override: A `Scripted`, a policy function or a `ChatModel` to use instead of the id; a
            string is taken for an id already in `info`.
        record_dir: Where to record what it answers, or None.
        redactor: Takes secrets out of what is recorded.
        resumed: Whether the run began in another process.

    Raises:
        UsageError: It cannot be opened.
    """
    folder = model.base_dir if base_dir is None else base_dir
    if override is None or isinstance(override, str):
        opened = _open_id(model, info, folder, resumed)
    else:
        opened = _open_object(override, model.name, resumed)
    if is_limited(model):
        opened = LimitedModel(
            opened,
            max_concurrent=model.max_concurrent,
            calls=None if model.rpm is None else Window(model.rpm),
            tokens=None if model.tpm is None else Window(model.tpm),
        )
    return opened if record_dir is None else RecordingModel(opened, record_dir, redactor)


def _open_id(model: Model, info: ModelInfo, folder: str, resumed: bool) -> ChatModel:
    scheme, rest = split_id(info.id)
    path = os.path.join(folder, rest)
    match scheme:
        case None:
            if "/" not in info.id and look_up(info.id) is None:
                raise UsageError(
                    f"model `{model.name}`: `{info.id}` names no provider; write PROVIDER/MODEL"
                )
            # 5 ms to import, and only a run that asks a provider needs it.
            from engine.models.providers import provider_model

            return provider_model(model, info.id)
        case "scripted":
            return ScriptedModel(read_script(path), resumed=resumed)
        case "recorded":
            return RecordedModel(path)
        case "python":
            return PolicyModel(load_callable(rest, folder), rest, folder)
        case "local":
            return LocalModel(path, info.context)
        case "memory":
            raise UsageError(
                f"model `{model.name}` was an object in Python when the run began ({rest}); "
                "give it again to resume the run"
            )
        case _:
            return cast(ChatModel, plugin(scheme).load()(model, info, folder))


def _open_object(override: object, name: str, resumed: bool) -> ChatModel:
    if isinstance(override, Scripted):
        return ScriptedModel(override, resumed=resumed)
    if hasattr(override, "complete") and hasattr(override, "close"):
        return cast(ChatModel, override)
    if callable(override):
        return PolicyModel(override, getattr(override, "__qualname__", name))
    raise UsageError(
        f"model `{name}` cannot be a {type(override).__name__}; give an id, a Scripted, a "
        "function of a PolicyState, or an object with `complete` and `close`"
    )


def warm(models: Iterable[tuple[Model, str]]) -> None:
    """Begin to import what will ask models of providers, in a thread, by model and id in force."""
    asked = [(model, name) for model, name in models if split_id(name)[0] in (None, "local")]
    if not asked:
        return
    # As above.
    from engine.models.providers import warm_gateways

    warm_gateways(asked)
