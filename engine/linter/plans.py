"""ORC425, ORC713: plan workers and what is around them: the policy they run under, their failures.

What is wrong inside a plan is found by `engine.sema.declarations.plans`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from engine.diagnostics import Diagnostic, Edit, Fix, Related, diagnostic
from engine.diagnostics.rule import Rule
from engine.linter.lookup import block_of, body_of, setting_of, varies
from engine.linter.subject import Subject
from engine.sema.model import Worker, reached
from engine.source import Span
from engine.syntax import ast

__all__ = ["plan_over_policy", "undeclared_modes"]

_ASK = """\
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [look]
  policy { max_rounds = 3  max_items = 20  budget { cost = $0.10 } }
}
"""

PLAN_OVER_POLICY = Rule(
    code="ORC425",
    name="plan-over-policy",
    severity="warning",
    summary="`max_items` of a plan is higher than that of the policy it runs under.",
    why="The policy's `max_items` counts the tasks inside plans too, so the limit of the plan has "
    "no effect, and hides the real bound from a reader.",
    bad=_ASK
    + """\
worker look(topics: string[]) -> string[] via plan {
  max_items = 50
  step all { each = topics  take = 10  call = search(query=item) }
  result = all
}""",
    good=_ASK
    + """\
worker look(topics: string[]) -> string[] via plan {
  max_items = 10
  step all { each = topics  take = 10  call = search(query=item) }
  result = all
}""",
    allowable=True,
)


def plan_over_policy(subject: Subject) -> Iterator[Diagnostic]:
    """ORC425: a plan that may never become as many tasks as it says."""
    workers = subject.program.workers
    for orchestrator in subject.orchestrators:
        most = orchestrator.policy.max_items
        policy = block_of(body_of(subject, orchestrator.name), "policy")
        if most is None or varies(policy, "max_items"):
            continue
        for name in reached(workers, orchestrator.workers):
            plan = workers[name].plan if name in workers else None
            if plan is None or plan.max_items <= most:
                continue
            body = body_of(subject, name)
            if varies(body, "max_items"):
                continue
            written = setting_of(body, "max_items") if body is not None else None
            yield diagnostic(
                "ORC425",
                f"`max_items = {plan.max_items}` of plan `{name}` can never be reached: a decision "
                f"of `{orchestrator.name}` becomes at most {most} tasks, with those inside plans",
                orchestrator.span if written is None else written.span,
                help="lower it, or raise `max_items` in the policy",
                related=()
                if written is None
                else (Related(f"the policy of `{orchestrator.name}`", orchestrator.span),),
            )


_READ = """\
worker read(page: string) -> string fails unreadable via llm {
  model = fast  prompt = "{{ page }}"
}
"""

UNDECLARED_MODES = Rule(
    code="ORC713",
    name="undeclared-mode",
    severity="warning",
    summary="A plan does not declare a failure mode of a worker that it calls.",
    why="If a step fails, the plan fails with the mode of that step. A mode that the plan does not "
    "declare becomes `crashed`, and the planner cannot react to it.",
    bad=_READ
    + """\
worker gather(pages: string[]) -> string[] via plan {
  max_items = 10
  step all { each = pages  take = 10  call = read(page=item) }
  result = all
}""",
    good=_READ
    + """\
worker gather(pages: string[]) -> string[] fails unreadable via plan {
  max_items = 10
  step all { each = pages  take = 10  call = read(page=item) }
  result = all
}""",
    allowable=True,
)


def undeclared_modes(subject: Subject) -> Iterator[Diagnostic]:
    """ORC713: a plan that may fail with a mode that it does not declare."""
    workers = subject.program.workers
    for worker in workers.values():
        if worker.plan is None or not subject.here(worker.span):
            continue
        missing: dict[str, Worker] = {}
        for _, name in worker.plan.calls():
            called = workers.get(name)
            for mode in called.fails if called is not None else ():
                if mode not in worker.fails:
                    missing.setdefault(mode, workers[name])
        if not missing:
            continue
        said = ", ".join(f"`{mode}` of `{called.name}`" for mode, called in missing.items())
        clause = ", ".join([*worker.fails, *missing])
        yield diagnostic(
            "ORC713",
            f"plan `{worker.name}` does not declare {said}: such a failure becomes `crashed`",
            worker.span,
            help=f"write `fails {clause}` before `via`",
            fix=_declaring(subject, worker, list(missing)),
            related=tuple(
                Related(f"`{mode}` is declared here", called.span)
                for mode, called in missing.items()
            ),
        )


def _declaring(subject: Subject, worker: Worker, modes: list[str]) -> Fix | None:
    """A fix that adds modes to the `fails` of a worker; None where its head is not found."""
    entity = subject.scope.names.get(worker.name)
    node = None if entity is None else entity.declaration
    if not isinstance(node, ast.WorkerDecl):
        return None
    text = ", ".join(modes)
    if node.fails:
        end = node.fails[-1].span.end
        edit = Edit(Span(node.span.source, end, end), f", {text}")
    else:
        via = re.search(
            r"\bvia\s+\Z", node.span.source.text[node.span.start : node.kind.span.start]
        )
        if via is None:
            return None
        at = node.span.start + via.start()
        edit = Edit(Span(node.span.source, at, at), f"fails {text} ")
    # A planner sees the modes of its workers.
    return Fix(f"declare `{text}`", (edit,), "unsafe")
