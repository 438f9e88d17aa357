"""Each rule taken out of the code: the oracle has to find a leak within a thousand programs.

What is planted is what the code would do without one of its rules; so this also says which rules
there are, and that none of them is idle.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest
from canary_run import Canary, Leak

from engine.runtime import approvals, clearance, clearing, dispatch, shown, taint, verify, views
from engine.runtime.state import Check, HookRun, Loop, RunState, Task
from engine.runtime.views import task_record
from engine.sema import trust
from engine.sema.model import Orchestrator, Program, Worker
from engine.sema.trust import Facts
from engine.sema.types.definitions import Array, Constrained, Named, Optional, Record, Type
from engine.sema.types.schema_facts import follow

#: How many programs it may take; most leaks are found within a hundred.
PROGRAMS = 1_000

_goes_on = verify._goes_on
_looks = verify.looks
_next = verify._next
_is_source = taint._is_source
_mark_output = taint.mark_output
_policy_state = views.policy_state
_facts_of = trust.facts_of
_begins = taint.loop_begins_tainted


def no(*args: Any, **more: Any) -> bool:
    return False


def yes(*args: Any) -> bool:
    return True


def nowhere(*args: Any) -> list[str]:
    return []


def nothing(*args: Any) -> str:
    return ""


def none(*args: Any) -> None:
    return None


def by_what_its_planner_saw(state: RunState, loop: Loop) -> bool:
    return loop.tainted


def without_what_a_hook_looks_at(state: RunState, loop: Loop) -> bool:
    return loop.tainted or any(task.tainted for task in loop.tasks.values())


def only_what_has_succeeded(state: RunState, task: Task, *, verified: bool) -> None:
    _mark_output(state, task, verified=verified)
    task.tainted = task.tainted and task.failure is None


def whoever_acts(state: RunState, task: Task) -> bool:
    acting, task.acting = task.acting, task.worker
    try:
        return _is_source(state, task)
    finally:
        task.acting = acting


def as_if_its_own_worker_had(state: RunState, task: Task) -> bool:
    return whoever_acts(state, task) if task.cached else _is_source(state, task)


def without_what_it_was_told(state: RunState, loop: Loop) -> bool:
    told, task = False, loop.task
    if task is not None:
        told, task.told = task.told, False
    found = _begins(state, loop)
    if task is not None:
        task.told = told
    return found


def all_tasks_at_once(state: RunState, loop: Loop) -> Any:
    seen = _policy_state(state, loop)
    tasks = {task.id: task_record(task) for task in loop.tasks.values()}
    return type(seen)(
        **{name: getattr(seen, name) for name in seen.__struct_fields__ if name != "tasks"},
        tasks=tasks,
    )


def without_marking(state: RunState, task: Task, value: object, failure: Any) -> None:
    task.output, task.failure = value, failure
    task.rested = True
    task.status = "done" if failure is None else "failed"
    dispatch.ending.settle(state, task.loop)


# ---------------------------------------------------------------- facts, as they once were


def by_known_keywords(schema: Any, root: Any, **more: Any) -> bool:
    """Text is what is known to be some: lists by `items`, records by `properties`."""
    todo, seen = [schema], set()
    while todo:
        node = todo.pop()
        if not isinstance(node, Mapping):
            return True
        if id(node) in seen:
            continue
        seen.add(id(node))
        if "$ref" in node:
            todo.append(follow(root, node["$ref"]))
        elif "const" in node or "enum" in node:
            continue
        elif node.get("anyOf") or node.get("oneOf"):
            todo += [*node.get("anyOf", ()), *node.get("oneOf", ())]
        elif node.get("type") == "array" and "items" in node:
            todo.append(node["items"])
        elif node.get("type") == "object" and node.get("additionalProperties") is False:
            todo += node.get("properties", {}).values()
        elif node.get("type") not in ("integer", "boolean", "null"):
            return True
    return False


def as_it_is(loop: Loop) -> str:
    return loop.path


def whatever_it_does_on_failure(run: HookRun) -> bool:
    more = _goes_on(run)
    if run.number:
        run.cleared = clearing.by_a_person(run.cleared, run.hook)
    return more


def only_of_wholes(schema: Any, pointer: str, **more: Any) -> bool:
    return pointer == "" and trust.carries(schema, schema)


def of_workers_only(program: Program, worker: Worker | Orchestrator, **more: Any) -> Facts:
    facts = _facts_of(program, worker)
    return facts._replace(source=facts.source and isinstance(worker, Worker))


def fields_only(type_: Type) -> bool:
    match type_:
        case Named(definition=definition):
            return fields_only(definition.type)
        case Record(fields=fields):
            return any(field.untrusted or fields_only(field.type) for field in fields)
        case Array(item=inner) | Optional(item=inner) | Constrained(item=inner):
            return fields_only(inner)
    return False


def without_looking(state: RunState, run: HookRun) -> bool:
    look = _looks(state, run)
    if not look:
        run.cleared = clearing.by_a_person(run.cleared, run.hook)
    return look


def without_asking(state: RunState, run: HookRun) -> tuple[str, ...]:
    if run.failed and run.hook.otherwise:
        run.let_pass()
    return _next(state, run)


def by_its_input(check: Check) -> bytes:
    task = check.hook_run.task
    known = None if task is None else [task.worker.name, task.resolved]
    return repr([check.verifier.name, check.bound, known]).encode()


LEAKS: dict[str, tuple[Any, str, Callable[..., Any]]] = {
    "no effect needs a yes": (clearance, "denial", nothing),
    "a child begins anew": (taint, "loop_begins_tainted", no),
    "a child gives back what its planner saw": (
        taint, "_gives_back_taint", by_what_its_planner_saw),
    "an output that a hook looks at is not out yet": (
        taint, "_gives_back_taint", without_what_a_hook_looks_at),
    "a failure has no words": (taint, "mark_output", only_what_has_succeeded),
    "a task that the end waited for has no output": (dispatch, "_rest", without_marking),
    "a fallback is as good as its worker": (taint, "_is_source", whoever_acts),
    "pure work is remembered without whose it is": (
        taint, "_is_source", as_if_its_own_worker_had),
    "a check's words are its own": (taint, "hears_strangers", no),
    "a child forgets what was wrong with the last one": (
        taint, "loop_begins_tainted", without_what_it_was_told),
    "a policy sees what has come in": (views, "policy_state", all_tasks_at_once),
    "an id is no text": (taint, "shown_path", as_it_is),
    "unknown keywords are no text": (trust, "carries", by_known_keywords),
    "a part of an output is no output": (taint, "carries_at", only_of_wholes),
    "only workers' outputs are marked": (taint, "facts_of", of_workers_only),
    "only fields are marked": (trust, "untrusted_inside", fields_only),
    "params are the program's own": (taint, "tainted_param", none),
    "a hook that warns cleans": (verify, "_goes_on", whatever_it_does_on_failure),
    "nothing that is read taints": (taint, "is_read", no),
    "a failure is told whatever is shown": (shown, "why_shown", yes),
    "a check is quoted whatever it has seen": (shown, "told", none),
    "labels are told whatever is shown": (shown, "label_shown", yes),
    "a result that does not fit is quoted": (shown, "unseen_in_finish", nowhere),
    "an input is told whatever it refers to": (shown, "reads_hidden", no),
    "a hook that does not look cleans": (verify, "looks", without_looking),
    "an `else` passes unasked": (verify, "_next", without_asking),
    "a yes is good for whatever comes back": (approvals, "_of_check", by_its_input),
    "references are not followed": (taint, "is_tainted", no),
}  # fmt: skip


@pytest.mark.more
@pytest.mark.parametrize("leak", LEAKS)
def test_a_planted_leak_is_found(leak, monkeypatch):
    module, name, planted = LEAKS[leak]
    assert hasattr(module, name)
    monkeypatch.setattr(module, name, planted)

    def search() -> None:
        for seed in range(PROGRAMS):
            Canary(seed).run()

    with pytest.raises(Leak, match=r"reached|is clean|is shown|for untrusted"):
        search()
