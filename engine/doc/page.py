"""One page a workflow, top down: what it is for, how to run it, then every part of it.

The order is that of a reader who has to use it: how its parts fit together, what a run can take at
most, what can and can never happen, then orchestrators, workers, verifiers, models, params and
schemas.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterable, Sequence

from engine.bounds import Bound, amount, bounds_of, dollars
from engine.doc.promises import Promises, promises_of
from engine.doc.tables import code, fenced, fields_table, paragraph, prose, table
from engine.graph.build import collect
from engine.graph.plans import steps_of
from engine.graph.text import to_mermaid
from engine.sema.model import Budget, Hook, Orchestrator, Program, Verifier, Worker
from engine.sema.trust import shown
from engine.sema.types.definitions import Named, Record, Type

__all__ = ["page"]


def page(program: Program) -> str:
    """The page, as Markdown for any renderer that draws Mermaid (GitHub, GitLab, MkDocs)."""
    name = program.entry or os.path.basename(program.path)
    lines = [f"# {prose(name)}", ""]
    entry = program.orchestrators.get(program.entry or "")
    if entry is not None and entry.doc:
        lines += [paragraph(entry.doc), ""]
    lines += [f"Made by `orch doc` from {code(os.path.basename(program.path))}.", ""]
    graph = to_mermaid(collect(program)).rstrip()
    if program.orchestrators:
        lines += ["## Graph", "", *fenced("mermaid", graph), ""]
        lines += _bounds(bounds_of(program))
        lines += _promises(promises_of(program))
    for orchestrator in program.orchestrators.values():
        lines += _orchestrator(program, orchestrator)
    lines += _chapter("Workers", (_worker(item) for item in program.workers.values()))
    lines += _chapter("Verifiers", (_verifier(item) for item in program.verifiers.values()))
    lines += _models(program)
    lines += _params(program)
    schemas = (_schema(key, type_) for key, type_ in program.schemas.items())
    lines += _chapter("Schemas", schemas)
    return "\n".join(lines).rstrip() + "\n"


def _chapter(title: str, parts: Iterable[list[str]]) -> list[str]:
    lines = [line for part in parts for line in part]
    return [f"## {title}", "", *lines] if lines else []


def _bounds(bounds: Sequence[Bound]) -> list[str]:
    head = ("orchestrator", "rounds", "tasks", "model calls", "tokens", "cost")
    rows = [
        (
            code(bound.orchestrator),
            amount(bound.total.rounds),
            amount(bound.total.tasks),
            amount(bound.total.model_calls),
            amount(bound.total.tokens),
            dollars(bound.total.cost_usd),
        )
        for bound in bounds
    ]
    return ["## The most a run can use", "", *table(head, rows), ""]


def _promises(said: Promises) -> list[str]:
    """What a reviewer wants to know first."""
    never = [(one.text, one.proof) for one in said.never]
    lines = ["## What can never happen in this program", "", *table(("never", "because"), never)]
    rests = "This rests on `effect` and `trust` as the file declares them"
    if said.trusted:
        rests += f": text of {_names(said.trusted)} counts as trusted"
    lines += ["", f"{rests}.", ""]
    if said.may:
        may = [(one.text, one.proof) for one in said.may]
        lines += ["## What can happen", "", *table(("can happen", "by which way"), may), ""]
    return lines


def _orchestrator(program: Program, item: Orchestrator) -> list[str]:
    required = item.inputs.schema.get("required", [])
    given = " ".join(f"-i {name}=..." for name in required)
    named = "" if item.name == program.entry else f" {item.name}"
    lines = [f"## Orchestrator {code(item.name)}", ""]
    if item.doc and item.name != program.entry:
        lines += [paragraph(item.doc), ""]
    file = " ".join(shlex.quote(os.path.basename(program.path)).split())
    command = f"orch run {file}{named} {given}".rstrip()
    lines += [*fenced("console", f"$ {command}"), "", *_contract(item)]
    policy = item.policy
    plain = policy.max_items is None
    a_round = policy.max_per_round if plain else policy.max_items
    limits = [
        ("model", code(item.model)),
        ("rounds", str(policy.max_rounds)),
        ("steps and tasks per decision", "" if plain else str(policy.max_per_round)),
        ("tasks per round", f"{a_round}, {policy.max_parallel} at once"),
        ("tasks in total", str(policy.max_dispatches or "")),
        ("depth of recursion", str(policy.max_depth or "")),
        ("budget", _budget(policy.budget)),
        ("if it stalls", "" if policy.stall is None else _stalls(item)),
    ]
    lines += [*table(("policy", ""), ((key, value) for key, value in limits if value)), ""]
    workers = []
    for name in item.workers:
        limit = item.limits.get(name)
        worker = program.workers.get(name) or program.orchestrators.get(name)
        workers.append(
            (
                code(name),
                "" if limit is None else str(limit.max_dispatches or ""),
                "" if limit is None else ", ".join(code(other) for other in limit.after),
                "" if limit is None else _budget(limit.budget),
                "" if worker is None else _SEEN[shown(item, worker)],
                prose(None if worker is None else worker.doc),
            )
        )
    head = ("may call", "at most", "after", "budget", "its planner sees", "what it does")
    lines += [*table(head, workers), ""]
    if item.hooks:
        hooks = [(_point(it), _asked(it), _on_fail(it), _endorsed(it)) for it in item.hooks]
        lines += [*table(("checked", "by", "if it fails", "trusted from then on"), hooks), ""]
    return lines


#: What a planner sees of an output, by `show`.
_SEEN = {
    "full": "all of it",
    "preview": "its beginning",
    "shape": "its shape: no words",
    "none": "that it is done",
}


def _stalls(item: Orchestrator) -> str:
    stall = item.policy.stall
    assert stall is not None
    rounds = "1 round" if stall.after == 1 else f"{stall.after} rounds"
    return f"after {rounds}: {stall.action}"


def _point(hook: Hook) -> str:
    point = hook.point.replace("_", " ")
    if hook.worker is not None:
        point += f" of {code(hook.worker)}"
    elif hook.every > 1:
        point += f", every {hook.every}"
    return point if hook.when is None else f"{point}, when {code(hook.when.text)}"


def _asked(hook: Hook) -> str:
    """The verifiers of a hook, and those that decide where one of them does not pass."""
    asked = _names(hook.verifiers)
    return f"{asked}, else {_names(hook.otherwise)}" if hook.otherwise else asked


def _on_fail(hook: Hook) -> str:
    if hook.on_fail != "revise":
        return hook.on_fail
    times = "once" if hook.max_revisions == 1 else f"{hook.max_revisions} times"
    return f"revise, at most {times}, then {hook.then}"


def _endorsed(hook: Hook) -> str:
    return ", ".join(code(name) for name in hook.endorse)


def _budget(budget: Budget) -> str:
    said = []
    if budget.cost_usd is not None:
        said.append(dollars(budget.cost_usd))
    if budget.tokens is not None:
        said.append(f"{amount(budget.tokens)} tokens")
    if budget.time_ms is not None:
        said.append(_time(budget.time_ms))
    return ", ".join(said)


def _time(ms: int) -> str:
    for unit, size in (("h", 3_600_000), ("m", 60_000), ("s", 1_000)):
        if ms % size == 0 and ms:
            return f"{ms // size} {unit}"
    return f"{ms} ms"


def _names(names: Iterable[str]) -> str:
    return ", ".join(code(name) for name in names)


def _contract(item: Orchestrator | Worker) -> list[str]:
    lines = _inputs(item)
    lines.append(f"Returns {code(item.output.type)}.")
    if item.fails:
        lines[-1] += f" May fail with {_names(item.fails)}."
    lines.append("")
    if isinstance(item.output.type, Record):
        lines += [*fields_table(item.output.type.fields), ""]
    return lines


def _inputs(item: Orchestrator | Worker | Verifier) -> list[str]:
    assert isinstance(item.inputs.type, Record)
    fields = item.inputs.type.fields
    return [*fields_table(fields), ""] if fields else ["Takes no input.", ""]


def _worker(item: Worker) -> list[str]:
    said = [f"Via {code(item.kind)}", f"effect {code(item.effect)}"]
    if item.trust == "untrusted":
        said.append("its output is untrusted")
    if item.timeout_ms is not None:
        said.append(f"timeout {_time(item.timeout_ms)}")
    if item.retry is not None:
        said.append("1 retry" if item.retry.max == 1 else f"{item.retry.max} retries")
    if item.fallback:
        said.append(f"falls back to {_names(item.fallback)}")
    return [*_head(item), ", ".join(said) + ".", "", *_contract(item), *_plan(item)]


def _plan(item: Worker) -> list[str]:
    """The steps of a plan, and how many tasks they become."""
    if item.plan is None:
        return []
    rows = []
    for step in steps_of(item):
        path = step.id.partition("/")[2]
        most = item.plan.most.get(path.replace("/", "."))
        reads = [read.partition("/")[2] for read in step.reads]
        rows.append(
            (
                code(path),
                step.kind,
                "" if step.worker is None else code(step.worker),
                _names(reads),
                "" if most is None else str(most),
            )
        )
    head = ("step", "does", "calls", "reads", "tasks at most")
    lines = [f"Its steps become at most {item.plan.max_items} tasks.", ""]
    return [*lines, *table(head, rows), ""] if rows else lines


def _verifier(item: Verifier) -> list[str]:
    kind = "A person answers it" if item.facts.done_by == "person" else f"Via {code(item.kind)}"
    said = [kind]
    if item.timeout_ms is not None:
        said.append(f"timeout {_time(item.timeout_ms)}")
    lines = [*_head(item), ", ".join(said) + ".", "", *_inputs(item)]
    if item.assertions:
        lines += [f"- {code(assertion.test.text)}" for assertion in item.assertions]
        lines.append("")
    return lines


def _head(item: Worker | Verifier) -> list[str]:
    lines = [f"### {code(item.name)}", ""]
    return [*lines, paragraph(item.doc), ""] if item.doc else lines


def _models(program: Program) -> list[str]:
    rows = [
        (code(m.name), code(m.id), _names(m.fallback), str(m.max_tokens), prose(m.doc))
        for m in program.models.values()
    ]
    head = ("name", "id", "falls back to", "tokens per answer", "meaning")
    return ["## Models", "", *table(head, rows), ""] if rows else []


def _params(program: Program) -> list[str]:
    lines: list[str] = []
    if program.params:
        rows = [
            (
                code(p.name),
                code(p.contract.type),
                "must be given"
                if p.name in program.missing_params
                else code(p.contract.schema.get("default", p.value)),
                prose(p.doc),
            )
            for p in program.params.values()
        ]
        lines += ["## Params", "", "Set with `--param NAME=VALUE`.", ""]
        lines += [*table(("name", "type", "value", "meaning"), rows), ""]
    if program.secrets:
        lines += ["## Secrets", "", "Read from the environment when a run starts.", ""]
        lines += [*(f"- {code(name)}" for name in program.secrets), ""]
    return lines


def _schema(name: str, type_: Type) -> list[str]:
    while isinstance(type_, Named):
        type_ = type_.definition.type
    lines = [f"### {code(name)}", ""]
    if not isinstance(type_, Record):
        return [*lines, code(type_), ""]
    if type_.doc:
        lines += [paragraph(type_.doc), ""]
    lines += [*fields_table(type_.fields), ""]
    if type_.invariants:
        lines += [f"- {code(invariant.text)}" for invariant in type_.invariants]
        lines.append("")
    return lines
