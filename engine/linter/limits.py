"""ORC410, ORC411, ORC413, ORC414: rounds, tasks and time: bounds missing, or never reached."""

from __future__ import annotations

from collections.abc import Iterator

from engine.diagnostics import Diagnostic, diagnostic
from engine.linter.lookup import adding, block_at, block_of, body_of, varies
from engine.linter.subject import Subject

__all__ = [
    "dispatches_unreachable",
    "no_stall_rule",
    "revision_without_exit",
    "timeout_inversion",
]

#: A loop of fewer rounds is over before a stall could be told.
_ROUNDS_THAT_CAN_STALL = 4


def dispatches_unreachable(subject: Subject) -> Iterator[Diagnostic]:
    """ORC410: more dispatches than the rounds allow."""
    for orchestrator in subject.orchestrators:
        policy = orchestrator.policy
        written = block_of(body_of(subject, orchestrator.name), "policy")
        if varies(written, "max_rounds", "max_per_round", "max_dispatches"):
            continue
        most = policy.max_rounds * policy.max_per_round
        if policy.max_dispatches is not None and policy.max_dispatches > most:
            yield diagnostic(
                "ORC410",
                f"`max_dispatches = {policy.max_dispatches}` can never be reached: "
                f"{policy.max_rounds} rounds of {policy.max_per_round} tasks are {most}",
                orchestrator.span,
                help="lower `max_dispatches`, or allow more rounds or tasks a round",
            )
        most = min(most, policy.max_dispatches or most)
        for name, limit in orchestrator.limits.items():
            if limit.max_dispatches is not None and limit.max_dispatches > most:
                yield diagnostic(
                    "ORC410",
                    f"`max_dispatches = {limit.max_dispatches}` can never be reached: "
                    f"`{orchestrator.name}` gives at most {most} tasks, to `{name}` and all others",
                    limit.span or orchestrator.span,
                    help="lower it, or remove this limit",
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
                fix=adding(
                    block_of(body_of(subject, orchestrator.name), "policy"),
                    "stall { after = 2  action = replan }",
                ),
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
        verify = block_of(body_of(subject, orchestrator.name), "verify")
        for hook in orchestrator.hooks:
            if hook.on_fail == "revise" and not hook.then_written and hook.max_revisions > 0:
                times = "revision" if hook.max_revisions == 1 else "revisions"
                yield diagnostic(
                    "ORC414",
                    f"after {hook.max_revisions} {times} this hook aborts, which nothing says",
                    hook.span,
                    help="add `then = abort`, `then = escalate` or `then = warn`",
                    fix=adding(block_at(verify, hook.span), "then = abort", safe=True),
                )


def _duration(ms: int) -> str:
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1_000)):
        if ms >= size and ms % size == 0:
            return f"{ms // size}{unit}"
    return f"{ms}ms"
