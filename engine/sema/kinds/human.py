"""`via human`: a gate. The run waits until a person answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from engine.sema.kinds.common import VERIFIER
from engine.sema.kinds.kind import WorkerKind
from engine.sema.model import Facts
from engine.sema.settings.table import Row
from engine.sema.settings.values import Choice, Duration, Strings, Text

__all__ = ["HUMAN"]

_ROWS = (
    Row("message", Text(), "The question to the person.", True),
    Row("options", Strings(), "The answers to choose from."),
    Row("timeout", Duration(), "How long to wait for an answer."),
    Row(
        "on_timeout",
        Choice(("abort", "escalate", "reject")),
        "What happens if no answer arrives in time; `reject` does what the hook says.",
        default="abort",
    ),
)


def _facts(_: Mapping[str, Any]) -> Facts:
    return Facts(done_by="person")


HUMAN = WorkerKind(
    name="human",
    summary="a gate: the run waits until a person answers",
    verifier=(*_ROWS, *VERIFIER),
    facts=_facts,
)
