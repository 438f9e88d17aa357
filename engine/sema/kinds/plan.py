"""`via plan`: a plan of its own does the work, in steps that call other workers.

The machine runs the steps. Effect and trust follow from what they call, and the tasks inside keep
the retries and timeouts of their workers, so a plan has no settings for these. What its steps mean
is checked in `engine.sema.declarations.plans`, for it takes the contracts of all workers.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.sema.kinds.common import MAX_BYTES
from engine.sema.kinds.kind import WorkerKind
from engine.sema.model import Facts
from engine.sema.settings.table import SHOW, Row
from engine.sema.settings.values import BlockValue, Computed, Int

__all__ = ["PLAN"]

_ROWS = (
    Row(
        "max_items",
        Int(maximum=100_000),
        "The maximum number of tasks that its steps become, in one run of it.",
        True,
    ),
    Row(
        "step",
        BlockValue("step", ("step",), True, True),
        "A step: a task, one task for each value of a list, a `reduce`, or a `repeat`.",
    ),
    Row("result", Computed("plan"), "Its output, from the steps and the inputs.", True),
    Row(
        "show",
        SHOW,
        "What a planner sees of its output.",
        otherwise="the least that is shown of a worker that it calls, where one of these says it",
    ),
    MAX_BYTES,
)


def _facts(_: Mapping[str, Any]) -> Facts:
    return Facts(done_by="machine")


PLAN = WorkerKind(
    name="plan",
    summary="a plan: steps that call other workers",
    worker=_ROWS,
    facts=_facts,
    without={
        "effect": "the effect of a plan is the strongest of what it calls",
        "trust": "the output of a plan is untrusted if that of a worker that it calls is",
        "retry": "the workers that it calls have their own `retry`",
        "timeout": "the workers that it calls have their own `timeout`",
        "fallback": "the workers that it calls have their own `fallback`",
        "commutes": "the workers that it calls have their own `commutes`",
        "repair": "the workers that it calls have their own `repair`",
        "policy": "the policy of the orchestrator that it runs under applies to every task",
    },
)
