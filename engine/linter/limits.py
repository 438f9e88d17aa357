"""ORC405, ORC409, ORC410, ORC411, ORC413, ORC414: bounds that are missing or that never bite."""

from __future__ import annotations

from collections.abc import Iterator

from engine.diagnostics import Diagnostic, diagnostic
from engine.linter.subject import Subject
from engine.sema.model import Budget

__all__ = [
    "budget_of_child",
    "dispatches_unreachable",
    "no_budget",
    "no_stall_rule",
    "revision_without_exit",
    "timeout_inversion",
]

#: A loop of fewer rounds is over before a stall could be told.
_ROUNDS_THAT_CAN_STALL = 4


def no_budget(subject: Subject) -> Iterator[Diagnostic]:
    """ORC405: a loop that may spend money, without a bound on money or tokens."""
    for orchestrator in subject.orchestrators:
        budget = orchestrator.policy.budget
        bounded = budget.cost_usd is not None or budget.tokens is not None
        if bounded or orchestrator.name in subject.children or not subject.costs(orchestrator):
            continue
        yield diagnostic(
            "ORC405",
            f"nothing bounds what `{orchestrator.name}` may spend",
            orchestrator.span,
            help="add `budget { cost = $1.00 }` to its policy",
        )


def budget_of_child(subject: Subject) -> Iterator[Diagnostic]:
    """ORC409: an orchestrator that may spend more than the one that calls it."""
    program = subject.program
    for parent in subject.orchestrators:
        for name in parent.workers:
            child = program.orchestrators.get(name)
            if child is None or child is parent:
                continue
            limit = parent.limits.get(name)
            own = child.policy.budget
            given = limit.budget if limit is not None else Budget()
            cost = _least(own.cost_usd, given.cost_usd)
            bound = parent.policy.budget.cost_usd
            if cost is not None and bound is not None and cost > bound:
                yield diagnostic(
                    "ORC409",
                    f"`{name}` may spend {_dollars(cost)} of a budget of {_dollars(bound)}",
                    parent.span,
                    help=f"lower the budget of `{name}`, or raise that of `{parent.name}`",
                )


def dispatches_unreachable(subject: Subject) -> Iterator[Diagnostic]:
    """ORC410: more dispatches than the rounds allow."""
    for orchestrator in subject.orchestrators:
        policy = orchestrator.policy
        most = policy.max_rounds * policy.max_per_round
        if policy.max_dispatches is not None and policy.max_dispatches > most:
            yield diagnostic(
                "ORC410",
                f"`max_dispatches = {policy.max_dispatches}` can never be reached: "
                f"{policy.max_rounds} rounds of {policy.max_per_round} tasks are {most}",
                orchestrator.span,
                help="lower `max_dispatches`, or allow more rounds or tasks a round",
            )


def no_stall_rule(subject: Subject) -> Iterator[Diagnostic]:
    """ORC411: a long loop that does not notice when nothing new comes."""
    for orchestrator in subject.orchestrators:
        policy = orchestrator.policy
        if policy.stall is None and policy.max_rounds >= _ROUNDS_THAT_CAN_STALL:
            yield diagnostic(
                "ORC411",
                f"`{orchestrator.name}` goes on even when rounds bring nothing new",
                orchestrator.span,
                help="add `stall { after = 2  action = replan }` to its policy",
            )


def timeout_inversion(subject: Subject) -> Iterator[Diagnostic]:
    """ORC413: a worker that may take longer than the whole run."""
    program = subject.program
    for orchestrator in subject.orchestrators:
        time_ms = orchestrator.policy.budget.time_ms
        for name in orchestrator.workers:
            worker = program.workers.get(name)
            if worker is None or worker.timeout_ms is None or time_ms is None:
                continue
            if worker.timeout_ms > time_ms:
                yield diagnostic(
                    "ORC413",
                    f"`{name}` may take {_duration(worker.timeout_ms)}, longer than the "
                    f"{_duration(time_ms)} of `{orchestrator.name}`",
                    worker.span if subject.here(worker.span) else orchestrator.span,
                    help="lower its `timeout`, or raise `budget { time }`",
                )


def revision_without_exit(subject: Subject) -> Iterator[Diagnostic]:
    """ORC414: revisions with nothing said about what follows the last."""
    for orchestrator in subject.orchestrators:
        for hook in orchestrator.hooks:
            if hook.on_fail == "revise" and not hook.then_written and hook.max_revisions > 0:
                times = "revision" if hook.max_revisions == 1 else "revisions"
                yield diagnostic(
                    "ORC414",
                    f"after {hook.max_revisions} {times} this hook aborts, which nothing says",
                    hook.span,
                    help="add `then = abort`, `then = escalate` or `then = warn`",
                )


def _least(*values: int | None) -> int | None:
    known = [value for value in values if value is not None]
    return min(known) if known else None


def _dollars(micro_usd: int) -> str:
    return f"${micro_usd / 1_000_000:.2f}"


def _duration(ms: int) -> str:
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1_000)):
        if ms >= size and ms % size == 0:
            return f"{ms // size}{unit}"
    return f"{ms}ms"
