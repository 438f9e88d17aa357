"""The environment of the processes that a run starts.

By default it is the engine's own environment without credentials: keys of model providers and the
secrets of the run are withheld. `inherit` names the variables to pass instead, keys and secrets
too, but those only by their full names. A few that most programs need to start are always passed.
In a sandbox there are those few, what `sandbox` and `inherit` name, and what `env` sets.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

from engine.provider_keys import is_provider_key
from engine.redaction import current
from engine.runtime.ports import WorkerRequest
from engine.sema.model import Sandbox
from engine.workers.settings import evaluated, text_of

__all__ = ["inherited", "process_environment"]

_ALWAYS = frozenset(
    {
        *("HOME", "LANG", "LANGUAGE", "LD_LIBRARY_PATH", "LOGNAME", "PATH", "PYTHONHOME"),
        *("PYTHONPATH", "SHELL", "TERM", "TMPDIR", "TZ", "USER"),
    }
)


def process_environment(request: WorkerRequest) -> dict[str, str]:
    """What a program of a worker or verifier sees.

    Raises:
        Failure: `crashed`; its `env` cannot be evaluated.
    """
    secrets = request.scope.get("secret") or {}
    names = request.worker.settings.get("inherit")
    sandbox = request.worker.settings.get("sandbox")
    if isinstance(sandbox, Sandbox) and not sandbox.only_network:
        names = names or ()
    if names is None:
        environment = {k: v for k, v in os.environ.items() if not _is_withheld(k, secrets)}
    else:
        environment = inherited(names, secrets)
        environment.update(
            (k, v) for k, v in os.environ.items() if k in _ALWAYS or k.startswith("LC_")
        )
    if isinstance(sandbox, Sandbox):
        passed = inherited(sandbox.env, secrets)
        environment.update((k, v) for k, v in passed.items() if not _is_withheld(k, secrets))
    for name, value in (evaluated(request, "env") or {}).items():
        if value is None:
            environment.pop(name, None)
        else:
            environment[name] = text_of(value, f"env.{name}")
    return environment


def inherited(names: Iterable[str], secrets: Mapping[str, Any]) -> dict[str, str]:
    """The variables of the engine's environment that `names` select.

    Args:
        names: Names; one that ends in `*` selects all that begin so, without keys and secrets.
        secrets: The secrets of the run, by name.
    """
    exact = {name for name in names if not name.endswith("*")}
    begins = tuple(name[:-1] for name in names if name.endswith("*"))
    return {
        name: value
        for name, value in os.environ.items()
        if name in exact or (name.startswith(begins) and not _is_withheld(name, secrets))
    }


def _is_withheld(name: str, secrets: Mapping[str, Any]) -> bool:
    return name in secrets or name in current().names or is_provider_key(name)
