"""ORC405, ORC407, ORC408, ORC409: budgets against what the program can take.

The worst case is that of `engine.bounds`; where it is not known (a price, a context window), the
rules that need it keep quiet.
"""

from __future__ import annotations

from collections.abc import Iterator

from engine.bounds import Spend, amount, dollars, least_attempt
from engine.diagnostics import Diagnostic, Fix, diagnostic
from engine.diagnostics.rule import Rule
from engine.linter.lookup import adding, block_of, body_of
from engine.linter.subject import Subject
from engine.sema.model import Budget
from engine.source import Span

__all__ = ["budget_below_minimum", "budget_of_child", "budget_unreachable", "no_budget"]


NO_BUDGET = Rule(
    code="ORC405",
    name="no-budget",
    severity="warning",
    summary="A loop that may spend money has no bound on cost or tokens.",
    why="Rounds bound the work, not the money.",
    bad="""\
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [search]
  policy { max_rounds = 3 }
}""",
    good="""\
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [search]
  policy { max_rounds = 3  budget { cost = $0.10 } }
}""",
    allowable=True,
)


def no_budget(subject: Subject) -> Iterator[Diagnostic]:
    """ORC405: a loop that may spend money, without a bound on money or tokens."""
    for orchestrator in subject.orchestrators:
        budget = orchestrator.policy.budget
        bounded = budget.cost_usd is not None or budget.tokens is not None
        if bounded or orchestrator.name in subject.children or not subject.costs(orchestrator):
            continue
        worst = ""
        if orchestrator.name in subject.bounds:
            cost = subject.bounds[orchestrator.name].total.cost_usd
            worst = "" if cost is None else f"; worst case is {dollars(cost)}"
        yield diagnostic(
            "ORC405",
            f"nothing bounds what `{orchestrator.name}` may spend{worst}",
            orchestrator.span,
            help="add `budget { cost = $1.00 }` to its policy",
            fix=_bounding(subject, orchestrator.name),
        )


def _bounding(subject: Subject, name: str) -> Fix | None:
    """A bound on cost, next to the bound on time if there is one."""
    policy = block_of(body_of(subject, name), "policy")
    budget = block_of(policy, "budget")
    if budget is not None:
        return adding(budget, "cost = $1.00")
    return adding(policy, "budget { cost = $1.00 }")


BUDGET_UNREACHABLE = Rule(
    code="ORC407",
    name="budget-unreachable",
    severity="warning",
    summary="A budget is more than the worst case, so it never bites.",
    why="A bound that is never reached bounds nothing; a reader may rely on it.",
    bad="""\
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [search]
  policy { max_rounds = 3  budget { cost = $9_000.00 } }
}""",
    good="""\
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [search]
  policy { max_rounds = 3  budget { cost = $0.10 } }
}""",
    allowable=True,
)


def budget_unreachable(subject: Subject) -> Iterator[Diagnostic]:
    """ORC407: a budget that is more than the worst case."""
    for orchestrator in subject.orchestrators:
        bound = subject.bounds.get(orchestrator.name)
        if bound is None:
            continue
        # What costs nothing may be replaced by a model that does: `--model` puts it in its place.
        worst, budget = bound.structure, bound.budget
        for most, given, what, shown in (
            (worst.cost_usd, budget.cost_usd, "cost", dollars),
            (worst.tokens, budget.tokens, "token", amount),
        ):
            if most and given is not None and most < given:
                yield diagnostic(
                    "ORC407",
                    f"the {what} budget of `{orchestrator.name}` never bites: its worst case is "
                    f"{shown(most)}, the budget {shown(given)}",
                    orchestrator.span,
                    help="lower it below the worst case, which `orch lint --bounds` takes apart",
                )


BUDGET_BELOW_MINIMUM = Rule(
    code="ORC408",
    name="budget-below-minimum",
    severity="error",
    summary="A budget is too small for a single call, so nothing can ever be done.",
    why="Not even one round could be paid, so the run would end before it began.",
    bad="""\
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [search]
  policy { max_rounds = 3  budget { tokens = 1k } }
}""",
    good="""\
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [search]
  policy { max_rounds = 3  budget { tokens = 50k } }
}""",
    allowable=True,
)


def budget_below_minimum(subject: Subject) -> Iterator[Diagnostic]:
    """ORC408: a budget that not even one call fits in."""
    program = subject.program
    if not subject.complete:
        return
    for orchestrator in (each for file in subject.files for each in file.orchestrators):
        decision = least_attempt(program.models[orchestrator.model])
        yield from _too_small(
            orchestrator.policy.budget, decision, f"one decision of `{orchestrator.name}`",
            orchestrator.span,
        )  # fmt: skip
        for name, limit in orchestrator.limits.items():
            child, worker = program.orchestrators.get(name), program.workers.get(name)
            if child is not None:
                model, what = child.model, f"one decision of `{name}`"
            elif worker is not None and worker.facts.model is not None:
                model, what = worker.facts.model, f"one task of `{name}`"
            else:
                continue
            one = least_attempt(program.models[model])
            yield from _too_small(limit.budget, one, what, limit.span or orchestrator.span)


def _too_small(budget: Budget, least: Spend, what: str, span: Span) -> Iterator[Diagnostic]:
    for need, given, shown, unit in (
        (least.cost_usd, budget.cost_usd, dollars, ""),
        (least.tokens, budget.tokens, amount, " tokens"),
    ):
        if need is not None and given is not None and need > given:
            yield diagnostic(
                "ORC408",
                f"{what} sets aside at least {shown(need)}{unit} for its answer, and the budget "
                f"is {shown(given)}{unit}",
                span,
                help="raise the budget, or lower the model's `max_tokens`",
            )


CHILD_BUDGET_EXCEEDS_PARENT = Rule(
    code="ORC409",
    name="child-budget-exceeds-parent",
    severity="warning",
    summary="An orchestrator may spend more than the budget of its caller.",
    why="The parent would be exhausted before its child is.",
    bad="""\
orchestrator child(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [search]
  policy { max_rounds = 3  budget { cost = $5.00 } }
}
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [child]
  policy { max_rounds = 3  budget { cost = $0.10 } }
}""",
    good="""\
orchestrator child(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [search]
  policy { max_rounds = 3  budget { cost = $0.05 } }
}
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [child]
  policy { max_rounds = 3  budget { cost = $0.10 } }
}""",
    allowable=True,
)


def budget_of_child(subject: Subject) -> Iterator[Diagnostic]:
    """ORC409: an orchestrator that may spend more than its caller."""
    program = subject.program
    for parent in subject.orchestrators:
        for name in parent.workers:
            child = program.orchestrators.get(name)
            if child is None or child is parent:
                continue
            limit = parent.limits.get(name)
            own, above = child.policy.budget, parent.policy.budget
            given = limit.budget if limit is not None else Budget()
            for may, most, shown, unit in (
                (_least(own.cost_usd, given.cost_usd), above.cost_usd, dollars, ""),
                (_least(own.tokens, given.tokens), above.tokens, amount, " tokens"),
            ):
                if may is not None and most is not None and may > most:
                    yield diagnostic(
                        "ORC409",
                        f"`{name}` may spend {shown(may)}{unit} of a budget of {shown(most)}{unit}",
                        parent.span,
                        help=f"lower the budget of `{name}`, or raise that of `{parent.name}`",
                    )


def _least(*values: int | None) -> int | None:
    known = [value for value in values if value is not None]
    return min(known) if known else None
