"""Errors that need the whole program: recursion, precedence, inputs that hooks do not offer.

These rules report errors, so a program that violates one never runs; warnings that need the whole
program are in `engine.linter`. The rules look only at the model, and tolerate a program that is
partly wrong: names that could not be resolved are missing from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set
from graphlib import CycleError, TopologicalSorter
from typing import assert_never

from engine.diagnostics import Diagnostic, Related, diagnostic
from engine.diagnostics.rule import Rule
from engine.sema.model import Hook, Orchestrator, Program, Worker
from engine.sema.suggest import closest, names_list
from engine.sema.templates.run_types import ESTIMATE
from engine.sema.types.contract import Contract
from engine.sema.types.definitions import BOOL, STRING, Field, Record
from engine.sema.types.json_schema import may_fit
from engine.source import Span

__all__ = ["check_flow", "offered_names"]

#: What every hook offers to the inputs of its verifiers.
_ALWAYS = ("goal", "plan", "rounds", "outputs", "tasks", "log")
#: A hook's own names win over the inputs of the worker it is about.
_OWN = frozenset({*_ALWAYS, "task", "input", "tainted"})


def check_flow(
    program: Program, report: Callable[[Diagnostic], None], doubted: Set[str] = frozenset()
) -> None:
    """Report what makes the program as a whole wrong.

    Args:
        doubted: Names of callables with errors of their own; what they take is not certain.
    """
    _recursion(program, report)
    for worker in program.workers.values():
        if worker.name not in doubted:
            _fallbacks(program, worker, report)
    _model_fallbacks(program, report)
    for orchestrator in program.orchestrators.values():
        _precedence(orchestrator, report)
        _never_dispatched(orchestrator, report)
        told: set[tuple[Span, str, str]] = set()
        for hook in orchestrator.hooks:
            if hook.worker in doubted:
                continue
            _inputs(program, orchestrator, hook, report, doubted, told)


def _fallbacks(program: Program, worker: Worker, report: Callable[[Diagnostic], None]) -> None:
    """A fallback takes the same inputs and gives the same output, so far as can be told."""
    for name in worker.fallback:
        other = program.workers.get(name)
        if other is None:
            continue
        fits = may_fit(worker.inputs.schema, other.inputs.schema)
        fits = fits and may_fit(other.output.schema, worker.output.schema)
        order = ("pure", "read", "write", "once")
        stronger = order.index(other.effect) > order.index(worker.effect)
        if stronger:
            # What was let pass as a read must not turn into a write.
            report(
                diagnostic(
                    "ORC202",
                    f"`{name}` cannot replace `{worker.name}`: its effect, {other.effect}, "
                    f"is stronger than {worker.effect}",
                    worker.span,
                    help=f"let `{worker.name}` say `effect = {other.effect}` itself",
                    related=(Related("the fallback", other.span),),
                )
            )
        elif not fits or other is worker:
            report(
                diagnostic(
                    "ORC202",
                    f"`{name}` cannot replace `{worker.name}`: "
                    + ("it is the same" if other is worker else "its contract is another"),
                    worker.span,
                    help="a fallback has the same inputs and output",
                    related=(Related("the fallback", other.span),),
                )
            )


def _model_fallbacks(program: Program, report: Callable[[Diagnostic], None]) -> None:
    """A chain of fallbacks that comes back to where it began never ends."""
    for cycle in _cycles({name: model.fallback for name, model in program.models.items()}):
        report(
            diagnostic(
                "ORC202",
                f"these models fall back on each other: {' -> '.join([*cycle, cycle[0]])}"
                if len(cycle) > 1
                else f"model `{cycle[0]}` falls back on itself",
                program.models[cycle[0]].span,
                help="remove one of the `fallback` entries",
            )
        )


WORKER_NEVER_RUNNABLE = Rule(
    code="ORC703",
    name="worker-never-runnable",
    severity="error",
    summary="A worker waits for a worker that is not in `workers`, or a block names one.",
    why="A worker that is not in `workers` never runs.",
    bad="""\
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [search]
  policy { max_rounds = 3  budget { cost = $0.10 } }
  limit search { after = [tell] }
}
worker tell(f: Finding) -> string via llm { model = fast  prompt = "{{ f.claim }}" }""",
    good="""\
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [search, tell]
  policy { max_rounds = 3  budget { cost = $0.10 } }
  limit search { after = [tell] }
}
worker tell(f: Finding) -> string via llm { model = fast  prompt = "{{ f.claim }}" }""",
    allowable=False,
)


def _never_dispatched(orchestrator: Orchestrator, report: Callable[[Diagnostic], None]) -> None:
    """A worker that waits for one which may never run can never run itself."""
    for worker, limit in orchestrator.limits.items():
        for name in limit.after:
            other = orchestrator.limits.get(name)
            if other is not None and other.max_dispatches == 0:
                report(
                    diagnostic(
                        "ORC703",
                        f"`{worker}` waits for `{name}`, whose `max_dispatches` is 0",
                        limit.span or orchestrator.span,
                        help=f"let `{name}` run, or remove it from `after`",
                    )
                )


RECURSIVE_WORKFLOW = Rule(
    code="ORC404",
    name="recursive-workflow",
    severity="error",
    summary="An orchestrator can call itself, and no policy in the cycle sets `max_depth`.",
    why="Such a program would have no bound.",
    bad="""\
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [ask]
  policy { max_rounds = 3  budget { cost = $0.10 } }
}""",
    good="""\
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [ask]
  policy { max_rounds = 3  max_depth = 2 }
}""",
    allowable=False,
)


def _recursion(program: Program, report: Callable[[Diagnostic], None]) -> None:
    calls = {
        name: [worker for worker in orchestrator.workers if worker in program.orchestrators]
        for name, orchestrator in program.orchestrators.items()
        if orchestrator.policy.max_depth is None
    }
    for cycle in _cycles(calls):
        names = " -> ".join([*cycle, cycle[0]])
        report(
            diagnostic(
                "ORC404",
                f"`{cycle[0]}` calls itself without a bound: {names}",
                program.orchestrators[cycle[0]].span,
                help="set `max_depth` in the policy of one of them",
                related=tuple(
                    Related(f"`{name}` takes part", program.orchestrators[name].span)
                    for name in cycle[1:]
                ),
            )
        )


PRECEDENCE_CYCLE = Rule(
    code="ORC702",
    name="precedence-cycle",
    severity="error",
    summary="Workers wait for each other, so none of them can ever run.",
    why="Each waits for the other.",
    bad="""\
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [search]
  policy { max_rounds = 3  budget { cost = $0.10 } }
  limit search { after = [search] }
}""",
    good="""\
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [search]
  policy { max_rounds = 3  budget { cost = $0.10 } }
  limit search { max_dispatches = 2 }
}""",
    allowable=False,
)


def _precedence(orchestrator: Orchestrator, report: Callable[[Diagnostic], None]) -> None:
    after = {
        worker: [name for name in limit.after if name in orchestrator.limits]
        for worker, limit in orchestrator.limits.items()
    }
    for cycle in _cycles(after):
        waits = ", ".join(
            f"`{a}` waits for `{b}`" for a, b in zip(cycle, [*cycle[1:], cycle[0]], strict=True)
        )
        report(
            diagnostic(
                "ORC702",
                f"these workers wait for each other and can never run: {waits}",
                orchestrator.limits[cycle[0]].span or orchestrator.span,
                help="remove one of the `after` edges",
            )
        )


def _cycles(edges: Mapping[str, Iterable[str]]) -> list[list[str]]:
    """Cycles that have no node in common, each beginning with its first node in `edges`' order."""
    left = {node: [n for n in following if n in edges] for node, following in edges.items()}
    order = list(edges)
    found: list[list[str]] = []
    while True:
        try:
            TopologicalSorter(left).prepare()
        except CycleError as error:
            # graphlib lists a cycle from what must come first, and repeats the first at the end.
            cycle: list[str] = list(reversed(error.args[1][1:]))
            start = cycle.index(min(cycle, key=order.index))
            found.append(cycle[start:] + cycle[:start])
            left = {
                node: [n for n in following if n not in cycle]
                for node, following in left.items()
                if node not in cycle
            }
        else:
            return found


def offered_names(program: Program, orchestrator: Orchestrator, hook: Hook) -> list[str]:
    """The names a hook binds to the inputs of its verifiers."""
    offered = list(_ALWAYS)
    match hook.point:
        case "before_dispatch":
            offered += ["task", "input", "tainted"]
            name = hook.worker or ""
            target = program.workers.get(name) or program.orchestrators.get(name)
            if target is not None and isinstance(target.inputs.type, Record):
                offered += [field.name for field in target.inputs.type.fields]
        case "after_dispatch":
            offered += ["task", "input", "output", "tainted"]
        case "before_round":
            offered.append("estimate")
        case "after_round":
            pass
        case "before_finish":
            offered += ["result", "tainted"]
        case _:
            assert_never(hook.point)
    return list(dict.fromkeys(offered))


VERIFIER_INPUT_UNBOUND = Rule(
    code="ORC603",
    name="verifier-input-unbound",
    severity="error",
    summary="A verifier needs an input that its hook does not offer.",
    why="A hook binds the inputs of a verifier by name.",
    bad="""\
verifier fair(evidence: string) via rules { assert evidence }
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [search]
  policy { max_rounds = 3  budget { cost = $0.10 } }
  verify { before_finish { with = fair } }
}""",
    good="""\
orchestrator ask(topic: string) -> string {
  model   = fast
  goal    = "Explain {{ topic }}."
  workers = [search]
  policy { max_rounds = 3  budget { cost = $0.10 } }
  verify { before_finish { with = sound } }
}""",
    allowable=False,
)


def _inputs(
    program: Program,
    orchestrator: Orchestrator,
    hook: Hook,
    report: Callable[[Diagnostic], None],
    doubted: Set[str],
    told: set[tuple[Span, str, str]],
) -> None:
    """Report inputs of verifiers that a hook does not offer, or not in their type.

    Args:
        told: What was reported already: a hook about several workers is told once of an input.
    """
    offered = offered_names(program, orchestrator, hook)
    shown = hook.point if hook.worker is None else f"{hook.point} {hook.worker}"
    for name in hook.every_verifier:
        verifier = program.verifiers.get(name)
        if name in doubted or verifier is None or not isinstance(verifier.inputs.type, Record):
            continue
        for field in verifier.inputs.type.fields:
            slip = (hook.span, name, field.name)
            if slip in told or (field.name not in offered and not field.required):
                continue
            if field.name in offered:
                problem = _misfit(program, orchestrator, hook, name, field)
                if problem is not None:
                    told.add(slip)
                    report(problem)
                continue
            told.add(slip)
            near = closest(field.name, offered)
            report(
                diagnostic(
                    "ORC603",
                    f"hook `{shown}` offers no `{field.name}`, which `{name}` needs",
                    hook.span,
                    help=(f"did you mean `{near}`? " if near else "")
                    + f"it offers {names_list(offered, 20)}",
                    related=(Related(f"an input of `{name}`", field.span or verifier.span),),
                )
            )


def _misfit(
    program: Program, orchestrator: Orchestrator, hook: Hook, verifier: str, field: Field
) -> Diagnostic | None:
    """What is wrong with an input whose type nothing that the hook offers can ever have."""
    given: Contract | None = None
    source = ""
    target = None
    if hook.worker is not None:
        target = program.workers.get(hook.worker) or program.orchestrators.get(hook.worker)
    if hook.point == "before_finish" and field.name == "result":
        given, source = orchestrator.output, f"the result of `{orchestrator.name}`"
    elif hook.point == "after_dispatch" and field.name == "output" and target is not None:
        given, source = target.output, f"the output of `{target.name}`"
    elif hook.point == "before_round" and field.name == "estimate":
        given, source = Contract(ESTIMATE), "the estimate"
    elif field.name == "tainted":
        given, source = Contract(BOOL), "what the hook offers"
    elif hook.point == "before_dispatch" and target is not None and field.name not in _OWN:
        inputs = target.inputs.type
        found = inputs.field(field.name) if isinstance(inputs, Record) else None
        if found is not None:
            given, source = Contract(found.type), f"the input of `{target.name}`"
    elif field.name == "goal":
        given, source = Contract(STRING), "the goal"
    if given is None or may_fit(given.schema, Contract(field.type).schema):
        return None
    return diagnostic(
        "ORC202",
        f"`{verifier}` takes `{field.name}: {field.type}`, but {source} is `{given.type}`",
        hook.span,
        help="give the input the same type, or name another verifier",
        related=() if field.span is None else (Related(f"the input of `{verifier}`", field.span),),
    )
