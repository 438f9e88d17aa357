"""What the planner of an orchestrator sees of what its tasks and steps give.

`show` says it, by worker (`engine.sema.trust.shown`). At `shape` and `none` none of a worker's
words reach a planner: not its output, not why it failed, not a partial result, and not what a check
says that has seen these. Words travel further than a worker's own output: a label is made from an
item of another step, a failure may quote an input, and a `reduce` of one value gives that value.
All ways are followed here, and prompts (`engine.runtime.prompts`), the state of a planner in Python
(`engine.runtime.views`) and taint (`engine.runtime.taint`) ask here, so they cannot disagree.

Hooks, people, reports and the journal see everything; none of this concerns them. What a worker
that is shown makes of a hidden value that it was given is that worker's output, and is shown.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from engine.runtime.prompts import remarks
from engine.runtime.shape import list_of, shape_of, size_only
from engine.runtime.state import HookRun, Loop, RunState, Step, Task
from engine.runtime.steps.filling import find
from engine.sema.model import Show, Verifier, Worker
from engine.sema.plans.steps import EachStep, ReduceStep, names_read
from engine.sema.plans.values import FromStep, leaves, names_of
from engine.sema.trust import shown

__all__ = [
    "OF_OTHERS",
    "figures_shown",
    "given_shown",
    "hides",
    "in_words",
    "input_shown",
    "label_shown",
    "reads_hidden",
    "show_of",
    "told",
    "told_hidden",
    "unseen_in_finish",
    "why_shown",
]

#: From what is seen most to what is seen least.
_ORDER: tuple[Show, ...] = ("full", "preview", "shape", "none")
#: What a hook offers that may hold words of other tasks than the one it is about.
OF_OTHERS = frozenset({"log", "outputs", "result", "rounds", "tasks"})


def hides(loop: Loop) -> bool:
    """Whether an orchestrator's planner does not see the words of all that it may dispatch."""
    orchestrator = loop.orchestrator
    if orchestrator.policy.context.show in ("shape", "none"):
        return True
    limits = orchestrator.limits.values()
    return any(limit.show in ("shape", "none") for limit in limits) or any(
        shown(orchestrator, worker) in ("shape", "none")
        for worker in loop.decisions.workers.values()
    )


def show_of(entry: Task | Step) -> Show:
    """What the planner sees of a task or step."""
    loop, worker = entry.loop, entry.worker
    if worker is None:
        return loop.orchestrator.policy.context.show
    found = shown(loop.orchestrator, worker)
    limit = loop.orchestrator.limits.get(worker.name)
    if limit is not None and limit.show is not None:
        return found
    acting = entry.acting if isinstance(entry, Task) else worker
    if acting is not worker:
        found = _stricter(found, shown(loop.orchestrator, acting))
    if isinstance(entry, Step):
        if isinstance(worker, Worker) and worker.fallback:
            for task in entry.items.values():
                if task.acting is not worker:
                    found = _stricter(found, shown(loop.orchestrator, task.acting))
        if isinstance(entry.spec, ReduceStep) and not entry.items and reads_hidden(entry):
            found = _stricter(found, "none")  # it gives a value of others, whatever its type
    return found


def _stricter(one: Show, other: Show) -> Show:
    return max(one, other, key=_ORDER.index)


def in_words(entry: Task | Step) -> bool:
    """Whether the planner sees words of a task or step: of its output, or why it failed."""
    return show_of(entry) in ("full", "preview")


def why_shown(entry: Task | Step) -> bool:
    """Whether the planner sees what is said of why a task or step failed, not only its mode.

    What has started speaks for itself. The engine's words on what has not may quote its input, and
    a check that of what it saw.
    """
    if not in_words(entry):
        return False
    if not hides(entry.loop):
        return True
    if isinstance(entry, Task):
        return not entry.told_hidden and (entry.attempts > 0 or not reads_hidden(entry))
    return not reads_hidden(entry) and not any(task.told_hidden for task in entry.items.values())


def label_shown(step: Step) -> bool:
    """Whether the planner sees the labels of a step's items: they are made from its sources.

    Where it sees why they failed (`why_shown`), it sees them, too.
    """
    return not hides(step.loop) or not reads_hidden(step)


def figures_shown(step: Step) -> bool:
    """Whether the planner sees figures on a step's outputs; none of them is a word."""
    return show_of(step) != "none"


def reads_hidden(entry: Task | Step) -> bool:
    """Whether words that the planner does not see may be in what a task or step is given."""
    todo: list[Task | Step] = [entry]
    seen: set[int] = set()
    while todo:
        one = todo.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if one is not entry and not _own_words(one):
            return True
        if one is entry or isinstance(one, Step):
            # The views of a step show its items, too, and a `reduce` may pass one on.
            todo += _read_by(one)
    return False


def _own_words(entry: Task | Step) -> bool:
    """`in_words` of a step, what it may pass on aside."""
    worker = entry.worker
    if worker is None or isinstance(entry, Task):
        return in_words(entry)
    return shown(entry.loop.orchestrator, worker) in ("full", "preview")


def _read_by(entry: Task | Step) -> Iterator[Task | Step]:
    """The tasks and steps whose words an entry may be given."""
    names: list[str] = []
    step = entry.step if isinstance(entry, Task) else entry
    if step is not None:
        names += names_read(step.spec)
    elif isinstance(entry, Task):
        names += [reference.task for reference in entry.references]
        for _, leaf in () if entry.tree is None else leaves(entry.tree):
            names += names_of(leaf)
        for _, leaf in () if entry.when is None else entry.when.leaves():
            names += names_of(leaf)
    for name in dict.fromkeys(names):
        producer = find(entry.loop, entry.frame, name)
        if producer is not None:
            yield producer
    if entry.frame is not None:
        yield entry.frame.owner


# ---------------------------------------------------------------- values


def given_shown(entry: Task | Step, most_bytes: int | None = None) -> Any:
    """The output of a task or step as a planner sees it that does not see its words.

    Args:
        most_bytes: How much room there is for a shape; None: as for a preview.
    """
    show = show_of(entry)
    if show == "none":
        return size_only(entry.output)
    most = entry.loop.orchestrator.policy.context.preview_bytes
    if most_bytes is not None:
        most = min(most, most_bytes)
    if isinstance(entry, Step) and not entry.items and isinstance(entry.spec, ReduceStep):
        return shape_of(entry.output, {}, most)
    assert entry.worker is not None
    schema = entry.worker.output.schema
    if isinstance(entry, Step) and isinstance(entry.spec, EachStep):
        schema = list_of(schema)
    return shape_of(entry.output, schema, most)


def input_shown(task: Task) -> Any:
    """The input of a task that may hold what the planner does not see."""
    if task.step is None:
        return task.input  # as the decision gave it, with its references
    most = task.loop.orchestrator.policy.context.preview_bytes
    contract = task.worker.inputs
    # What does not fit its schema may be anything.
    fits = contract.is_valid(task.resolved)
    return shape_of(task.resolved, contract.schema if fits else {}, most)


# ---------------------------------------------------------------- the words of checks


def told(state: RunState, run: HookRun) -> str | None:
    """What the checks of a hook said, as the planner reads it.

    A check is not quoted that has seen what the planner does not see. A person is, who knows whom
    they speak to.

    Returns:
        None: all that was said, for the planner sees words of all that it may dispatch.
    """
    if not hides(run.loop):
        return None
    parts = []
    for name, said, _ in run.failed:
        verifier = state.program.verifiers[name]
        left_out = verifier.facts.done_by != "person" and _has_seen_hidden(run, verifier)
        parts.append(f"{name}: {remarks.NOT_SHOWN if left_out else said}")
    return "; ".join(parts)


def told_hidden(state: RunState, run: HookRun) -> bool:
    """Whether a check that did not pass has seen what the planner does not see."""
    return hides(run.loop) and any(
        _has_seen_hidden(run, state.program.verifiers[name]) for name, _, _ in run.failed
    )


def _has_seen_hidden(run: HookRun, verifier: Verifier) -> bool:
    task = run.task
    if task is not None and (
        (task.status == "verifying" and not in_words(task)) or reads_hidden(task)
    ):
        return True
    if OF_OTHERS.isdisjoint(verifier.inputs.schema.get("properties", {})):
        return False
    entries: list[Task | Step] = [*run.loop.every_task(), *run.loop.every_step()]
    return any(not in_words(entry) for entry in entries)


# ---------------------------------------------------------------- results


def unseen_in_finish(loop: Loop, tree: Any) -> list[str]:
    """The places of a result, as JSON Pointers, whose values the planner has not seen."""
    found = []
    for path, leaf in leaves(tree):
        producer = find(loop, None, leaf.name) if isinstance(leaf, FromStep) else None
        if producer is not None and (
            producer.round >= loop.round or not in_words(producer) or reads_hidden(producer)
        ):
            found.append(path)
    return found
