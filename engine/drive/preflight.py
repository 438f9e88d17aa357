"""Checks before a run starts: whether everything in it can run here, and what it costs.

A run that has passed uses no worker of a missing kind, no unknown model, and no cost budget that
cannot be enforced because a price is unknown. Nothing is called, opened or spent.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.errors import UsageError
from engine.events import ModelInfo
from engine.models.info import resolve_info
from engine.sema.model import Orchestrator, Program, Verifier, Worker, called_by
from engine.workers.registry import missing_extra, port_problem
from engine.workers.sandbox.here import default_problem, demanded_problem

__all__ = ["Overrides", "check_overrides", "preflight", "unconfined"]

#: Models by name: an id, a `Scripted`, a policy function, or a `ChatModel`.
Overrides = Mapping[str, Any]


def _reachable(program: Program, orchestrator: Orchestrator) -> list[Orchestrator]:
    """An orchestrator and those it may call, directly or not."""
    found = [orchestrator]
    for other in found:
        for name in other.workers:
            below = program.orchestrators.get(name)
            if below is not None and below not in found:
                found.append(below)
    return found


def _used(
    program: Program, orchestrator: Orchestrator
) -> tuple[set[str], dict[str, Worker | Verifier]]:
    """Names of the models a run may call, and each worker and verifier it may use."""
    models: set[str] = set()
    used: dict[str, Worker | Verifier] = {}
    for loop in _reachable(program, orchestrator):
        models.add(loop.model)
        verifiers = [name for hook in loop.hooks for name in hook.every_verifier]
        names = [*loop.workers, *verifiers]
        for name in names:  # grows while it is read
            if name in used:
                continue
            callable_ = program.workers.get(name) or program.verifiers.get(name)
            if callable_ is None:
                continue
            used[name] = callable_
            if isinstance(callable_, Worker):
                names.extend(called_by(callable_))
            if callable_.facts.model is not None:
                models.add(callable_.facts.model)
    pending = list(models)
    while pending:
        for other in program.models[pending.pop()].fallback:
            if other not in models:
                models.add(other)
                pending.append(other)
    return models, used


def preflight(
    program: Program, orchestrator: Orchestrator, overrides: Overrides
) -> dict[str, ModelInfo]:
    """Resolve the models of a run, and refuse a run that is not possible.

    Args:
        overrides: What replaces declared models.

    Raises:
        UsageError: An unknown model was named, a kind or effect is not built in, a sandbox is
            demanded that cannot be made here, or a price is missing under a cost budget.
    """
    check_overrides(program, overrides)
    models, used = _used(program, orchestrator)
    for name, callable_ in used.items():
        kind = callable_.kind
        extra = missing_extra(kind)
        if extra is not None:
            raise UsageError(
                f"`{name}` uses `via {kind}`, which needs an extra: "
                f"pip install 'orch-engine[{extra}]'"
            )
        problem = port_problem(kind)
        if problem is not None:
            raise UsageError(f"`{name}` uses `via {kind}`, {problem}")
        problem = demanded_problem(callable_)
        if problem is not None:
            raise UsageError(f"`{name}` has a `sandbox`, which cannot be made here: {problem}")
    infos = {
        name: resolve_info(program.models[name], overrides.get(name)) for name in sorted(models)
    }
    budgets = [loop.policy.budget for loop in _reachable(program, orchestrator)]
    if any(budget.cost_usd is not None for budget in budgets):
        for name, info in infos.items():
            if info.metered and info.input_usd is None and _has_provider(info):
                raise UsageError(
                    f"no price is known for model `{name}` ({info.id}), and the run has a cost "
                    "budget; add `price { input = $...  output = $... }` (for a million tokens)"
                )
    return infos


def unconfined(program: Program, orchestrator: Orchestrator) -> list[str]:
    """What to warn of: workers that are in a sandbox by default, where none can be made."""
    names: dict[str, list[str]] = {}
    for name, callable_ in _used(program, orchestrator)[1].items():
        problem = default_problem(callable_)
        if problem is not None:
            names.setdefault(problem, []).append(f"`{name}`")
    said = "untrusted workers run without a sandbox here"
    return [f"{said}: {', '.join(found)} ({problem})" for problem, found in names.items()]


def check_overrides(program: Program, overrides: Overrides) -> None:
    """Refuse what would replace a model that is not declared.

    Raises:
        UsageError: There is no such model.
    """
    for name in overrides:
        if name not in program.models:
            known = ", ".join(program.models)
            raise UsageError(f"there is no model `{name}` to replace (models: {known})")


def _has_provider(info: ModelInfo) -> bool:
    return not info.id.startswith(("scripted/", "recorded/", "python/", "local/", "memory/"))
