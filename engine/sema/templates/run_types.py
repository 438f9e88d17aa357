"""What `run` is where an expression may read it: in a test's assertions and in `on_escalate`.

And what `estimate` is, which `before_round` offers to its verifiers.

The records say what the engine gives there (`engine.runtime.report` and `engine.runtime.ending`,
layers above this one), so that a misspelt field or status is an error before anything runs.
"""

from __future__ import annotations

from engine.sema.types.definitions import (
    ANY,
    BOOL,
    FLOAT,
    INT,
    STRING,
    Array,
    Constant,
    Field,
    Optional,
    Record,
    Type,
    union_of,
)

__all__ = ["ESTIMATE", "RUN_ESCALATED", "RUN_REPORTED"]


def _record(name: str = "run", /, **fields: Type) -> Record:
    return Record(name, tuple(Field(name, type_) for name, type_ in fields.items()))


_STATUS = union_of(
    [
        Constant(word)
        for word in (
            "running",
            "waiting",
            "finished",
            "failed",
            "exhausted",
            "aborted",
            "cancelled",
        )
    ]
)

_RANGE = _record("range", least=INT, most=Optional(INT))

#: What `before_round` offers as `estimate` (`engine.runtime.estimate`).
ESTIMATE = _record(
    "Estimate",
    tasks=_RANGE,
    effects=_RANGE,
    calls=Optional(INT),
    cost_most=Optional(INT),
    cost_expected=Optional(INT),
)

#: In the assertions of a test for an orchestrator: the report of the run, and what
#: `engine.testing` adds to it.
RUN_REPORTED = _record(
    run=STRING,
    status=_STATUS,
    reason=STRING,
    bound=Optional(STRING),
    escalated=BOOL,
    output=ANY,
    partial=ANY,
    tainted=BOOL,
    tainted_parts=Array(STRING),
    place=ANY,
    failures=Array(ANY),
    rounds=INT,
    dispatches=INT,
    not_started=INT,
    usage=ANY,
    cost_usd=Optional(FLOAT),
    time_ms=INT,
    calls=INT,
    lost=INT,
    suspects=INT,
    gates=Array(ANY),
    warnings=Array(STRING),
    waiting=Array(ANY),
    orchestrator=STRING,
    goal=STRING,
    input=ANY,
    models=ANY,
    tasks=ANY,
    steps=ANY,
    outputs=ANY,
    dispatched=ANY,
    verdicts=Array(ANY),
    feedback=Array(STRING),
    history=Array(ANY),
)

#: In the `output` of `on_escalate`.
RUN_ESCALATED = _record(reason=STRING, rounds=INT, status=Constant("escalated"), goal=STRING)
