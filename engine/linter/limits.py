"""ORC410, ORC411, ORC413, ORC414: rounds, tasks and time: bounds missing, or never reached."""

from __future__ import annotations

from collections.abc import Iterator

from engine.diagnostics import Diagnostic, diagnostic
from engine.diagnostics.rule import Rule
from engine.linter.lookup import adding, block_at, block_of, body_of, varies
from engine.linter.subject import Subject
from engine.sema.model import reached

__all__ = [
    "dispatches_unreachable",
    "no_stall_rule",
    "revision_without_exit",
    "timeout_inversion",
]

#: A loop of fewer rounds is over before a stall could be told.
_ROUNDS_THAT_CAN_STALL = 4


DISPATCHES_UNREACHABLE = Rule(
    code="ORC410",
    name="dispatches-unreachable",
    severity="warning",
    summary=(
        "`max_dispatches` is higher than the number of tasks that all rounds together can have."
    ),
    why="The limit has no effect, and hides the real bound from a reader.",
    bad="""\
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [search]
  policy { max_rounds = 3  max_per_round = 2  max_dispatches = 40 }
}""",
    good="""\
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [search]
  policy { max_rounds = 3  max_per_round = 2  max_dispatches = 4 }
}""",
    allowable=True,
)


def dispatches_unreachable(subject: Subject) -> Iterator[Diagnostic]:
    """ORC410: more dispatches than the rounds allow."""
    for orchestrator in subject.orchestrators:
        policy = orchestrator.policy
        written = block_of(body_of(subject, orchestrator.name), "policy")
        if varies(written, "max_rounds", "max_per_round", "max_items", "max_dispatches"):
            continue
        workers = subject.program.workers
        if any(name in workers and workers[name].plan is not None for name in orchestrator.workers):
            continue  # the tasks inside a plan count too
        a_round = policy.max_per_round if policy.max_items is None else policy.max_items
        most = policy.max_rounds * a_round
        if policy.max_dispatches is not None and policy.max_dispatches > most:
            yield diagnostic(
                "ORC410",
                f"`max_dispatches = {policy.max_dispatches}` can never be reached: "
                f"{policy.max_rounds} rounds of {a_round} tasks are {most}",
                orchestrator.span,
                help="lower `max_dispatches`, or allow more rounds or tasks per round",
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


NO_STALL_RULE = Rule(
    code="ORC411",
    name="no-stall-rule",
    severity="info",
    summary="A loop with many rounds has no `stall` block.",
    why="A loop without progress costs money in every round until the last one.",
    bad="""\
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [search]
  policy { max_rounds = 9 }
}""",
    good="""\
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [search]
  policy { max_rounds = 9  stall { after = 2  action = replan } }
}""",
    allowable=True,
)


def no_stall_rule(subject: Subject) -> Iterator[Diagnostic]:
    """ORC411: a long loop that does not notice when nothing new comes."""
    for orchestrator in subject.orchestrators:
        policy = orchestrator.policy
        if policy.stall is None and policy.max_rounds >= _ROUNDS_THAT_CAN_STALL:
            yield diagnostic(
                "ORC411",
                f"`{orchestrator.name}` continues even if rounds make no progress",
                orchestrator.span,
                help="add `stall { after = 2  action = replan }` to its policy",
                fix=adding(
                    block_of(body_of(subject, orchestrator.name), "policy"),
                    "stall { after = 2  action = replan }",
                ),
            )


TIMEOUT_INVERSION = Rule(
    code="ORC413",
    name="timeout-inversion",
    severity="warning",
    summary="A worker may take longer than the whole run.",
    why="The budget ends the run before the worker can answer.",
    bad="""\
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [slow]
  policy { max_rounds = 3  budget { time = 5s } }
}
worker slow(q: string) -> string via llm { model = fast  prompt = "{{ q }}"  timeout = 1m }""",
    good="""\
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [slow]
  policy { max_rounds = 3  budget { time = 5m } }
}
worker slow(q: string) -> string via llm { model = fast  prompt = "{{ q }}"  timeout = 1m }""",
    allowable=True,
)


def timeout_inversion(subject: Subject) -> Iterator[Diagnostic]:
    """ORC413: a worker that may take longer than the whole run."""
    program = subject.program
    for orchestrator in subject.orchestrators:
        time_ms = orchestrator.policy.budget.time_ms
        for name in reached(program.workers, orchestrator.workers):
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


REVISION_WITHOUT_EXIT = Rule(
    code="ORC414",
    name="revision-without-exit",
    severity="warning",
    summary="A hook with `on_fail = revise` does not set `then`.",
    why="After the last revision, the run is aborted by default. Writing this down helps readers.",
    bad="""\
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [search]
  policy { max_rounds = 3  budget { cost = $0.10 } }
  verify { before_finish { with = sound  on_fail = revise  max_revisions = 1 } }
}""",
    good="""\
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [search]
  policy { max_rounds = 3  budget { cost = $0.10 } }
  verify { before_finish { with = sound  on_fail = revise  max_revisions = 1  then = abort } }
}""",
    allowable=True,
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
