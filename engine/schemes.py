"""The first word of a model's id, and who answers for it.

`scripted`, `recorded`, `python` and `local` are built in, and `memory` is an object that
was given in Python. A package may add schemes by an entry point in the group `orch.models`. Every
other id is LiteLLM's, whose first word is a provider. Nothing here opens a model.
"""

from __future__ import annotations

import functools
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["BUILT_IN", "GROUP", "LOCAL_CONTEXT", "anchor_id", "built_in", "plugin", "split_id"]

GROUP = "orch.models"
BUILT_IN = frozenset({"scripted", "recorded", "python", "local", "memory"})
#: The context window of a `local/` model whose file does not say otherwise, in tokens.
LOCAL_CONTEXT = 4096
#: Schemes whose rest is a path.
_PATHS = frozenset({"scripted", "recorded", "local"})


def built_in(model_id: str) -> str | None:
    """The scheme of an id, if it is one of those built in; does not look for packages' schemes."""
    scheme, slash, _ = model_id.partition("/")
    return scheme if slash and scheme in BUILT_IN else None


def split_id(model_id: str) -> tuple[str | None, str]:
    """Scheme and rest of an id; the scheme is None where the id is LiteLLM's."""
    scheme, slash, rest = model_id.partition("/")
    if slash and (scheme in BUILT_IN or scheme in _plugins()):
        return scheme, rest
    return None, model_id


def anchor_id(model_id: str, folder: str) -> str:
    """An id whose path, if it has one, is looked up in `folder` and not next to the `.orch` file.

    For ids that a person types on a command line: paths there are relative to where they are.
    """
    scheme, rest = split_id(model_id)
    if scheme not in _PATHS:
        return model_id
    return f"{scheme}/{os.path.abspath(os.path.join(folder, rest))}"


def plugin(scheme: str) -> EntryPoint:
    """The entry point of a scheme that a package added."""
    return _plugins()[scheme]


@functools.lru_cache(maxsize=1)
def _plugins() -> dict[str, EntryPoint]:
    # 26 ms, which lint can do without; a run has it anyway.
    from importlib.metadata import entry_points

    return {point.name: point for point in entry_points(group=GROUP)}
