"""What the inputs, tests and selections of steps are filled from: outputs, inputs, items.

Names are looked up from the inside out: in the pass of a `repeat`, then in the plan around it; in a
decision, in its orchestrator. What a name leads to is there when this is asked, because whoever
asks has waited for it. A skipped producer gives null where null is taken, and otherwise skips what
needs it; a failed one fails it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any, Literal

from engine.errors import Failure
from engine.runtime import sizes
from engine.runtime.causes import Cause, of_input
from engine.runtime.state import Frame, Loop, RunState, Step, Task
from engine.sema.expressions.template import EvaluationError
from engine.sema.plans.conditions import Test
from engine.sema.plans.selection import Entry, index_of, number_text
from engine.sema.plans.values import (
    ABSENT,
    FromStep,
    NothingThere,
    Scope,
    View,
    fill,
    leaves,
)
from engine.sema.types.schema_facts import may_fit, subschema_at
from engine.sizes import size_of, size_words

__all__ = [
    "StepOutputs",
    "Unmet",
    "dropped_entry",
    "entries_in",
    "entry_in",
    "fill_input",
    "find",
    "holds",
    "needs_failed",
    "prepare",
    "scope_of",
    "skipped_by",
    "too_early",
    "value_of",
    "view_of",
    "without_skipped",
]


class Unmet(Exception):
    """What a value needs has failed; `failure` is that of whoever needs it."""

    def __init__(self, failure: Failure) -> None:
        self.failure = failure
        super().__init__(failure.message)


class StepOutputs(list[Any]):
    """The outputs of a step as an author's expression sees them: a list with two more views."""

    def __init__(self, step: Step) -> None:
        super().__init__(view_of(step, "outputs"))
        self._step = step

    @property
    def pairs(self) -> list[Any]:
        """The items with their outputs."""
        return list(view_of(self._step, "pairs"))

    @property
    def failures(self) -> list[Any]:
        """The items that have failed, and why."""
        return list(view_of(self._step, "failures"))


def find(loop: Loop, frame: Frame | None, name: str) -> Task | Step | None:
    """The task or step that a name means; for an item of a skipped step, that step."""
    found = _named(loop, frame, name)
    if found is None and name.endswith("]"):
        step = _named(loop, frame, name.partition("[")[0])
        return step if step is not None and step.status == "skipped" else None
    return found


def _named(loop: Loop, frame: Frame | None, name: str) -> Task | Step | None:
    if frame is None:
        return loop.entry(name)
    at: Frame | None = frame
    while at is not None:
        found = at.tasks.get(name) or at.steps.get(name)
        if found is not None:
            return found
        at = at.outer
    return None


def view_of(step: Step, view: View) -> Any:
    """A view of a step: of an `each`, in the order of its source.

    One that has made no item may have dropped values, and those are its failures.
    """
    if not _is_each(step):
        return step.output if view == "outputs" and step.status == "done" else []
    return [value for _, value in entries_in(step, view, step.items.values())]


def entries_in(step: Step, view: str, tasks: Iterable[Task]) -> list[Entry]:
    """What some items of a step are in a view, and what it has dropped, by their numbers."""
    found = [entry for task in tasks if (entry := entry_in(task, view)) is not None]
    if view == "failures":
        found += [dropped_entry(dropped) for dropped in step.dropped]
    return sorted(found, key=lambda entry: entry[0])


def entry_in(task: Task, view: str) -> Entry | None:
    """What an item that has ended is in a view of its step, or None."""
    number = task.number
    if view == "failures":
        return None if task.failure is None else dropped_entry((number, task.item, task.failure))
    if task.status != "done":
        return None
    if view == "outputs":
        return number, task.output
    return number, {"index": index_of(number), "item": task.item, "output": task.output}


def dropped_entry(dropped: tuple[Any, Any, Failure]) -> Entry:
    """A value that failed, as the view `failures` has it."""
    number, item, failure = dropped
    return number, {
        "index": index_of(number),
        "item": item,
        "mode": failure.mode,
        "message": failure.message,
    }


def _is_each(step: Step) -> bool:
    return hasattr(step.spec, "each")


def needs_failed(producer: Task | Step) -> Failure:
    """How what needs the output of a task or step that has failed fails."""
    failure = producer.failure
    assert failure is not None
    return Failure(
        "unmet_reference",
        f"it needs the output of `{producer.id}`, which failed ({failure.mode})",
        cause=failure.cause,
    )


def _missing(loop: Loop, frame: Frame | None, name: str) -> Unmet:
    """The failure of a reference that leads to nothing, such as an item that was not made."""
    base = name.partition("[")[0]
    said = f"there is no task or step `{name}`"
    if isinstance(_named(loop, frame, base), Step):
        said = f"step `{base}` has no item `{name}`"
        failure = _dropped(loop, frame, name)
        if failure is not None:
            said = f"`{name}` was not started ({failure.mode}: {failure.message})"
    return Unmet(Failure("unmet_reference", said))


def _dropped(loop: Loop, frame: Frame | None, name: str) -> Failure | None:
    """Why an item of a step was not started; None where no such value was dropped."""
    base = name.partition("[")[0]
    step = _named(loop, frame, base)
    if isinstance(step, Step):
        for number, _, failure in step.dropped:
            if name == f"{base}[{number_text(number)}]":
                return failure
    return None


def value_of(producer: Task | Step, view: View = "outputs") -> Any:
    """The output of a task or step that is over, null if it was skipped.

    Raises:
        Unmet: It has failed.
    """
    if producer.status == "skipped":
        return None
    if isinstance(producer, Step):
        # What has finished of a step that failed can still be read, with its items.
        if producer.failure is not None and view == "outputs":
            raise Unmet(needs_failed(producer))
        return producer.output if view == "outputs" else view_of(producer, view)
    if producer.failure is not None:
        raise Unmet(needs_failed(producer))
    return producer.output


def scope_of(loop: Loop, frame: Frame | None, params: Mapping[str, Any]) -> Scope:
    """What everything at one level is filled from; without an item."""

    # Each item of a step may look at a whole other one: its views are made once, for all of them.
    views: dict[tuple[str, View], Any] = {}

    def output(name: str, view: View) -> Any:
        if (name, view) in views:
            return views[name, view]
        producer = find(loop, frame, name)
        if producer is None:
            raise _missing(loop, frame, name)
        value = value_of(producer, view)
        if isinstance(producer, Step) and producer.over:
            views[name, view] = value
        return value

    expressed: dict[str, StepOutputs] = {}

    def outputs(producer: Step, name: str) -> StepOutputs:
        if name not in expressed:
            expressed[name] = StepOutputs(producer)
        return expressed[name]

    def names(scope: Scope, wanted: frozenset[str]) -> Mapping[str, Any]:
        found: dict[str, Any] = {"param": params}
        for name in wanted:
            if name in scope.inputs:
                found[name] = scope.inputs[name]
            elif (producer := find(loop, frame, name)) is not None:
                value = value_of(producer)
                several = isinstance(producer, Step) and _is_each(producer)
                if isinstance(producer, Step) and several and producer.status == "done":
                    value = outputs(producer, name)
                found[name] = value
        if scope.item is not ABSENT:
            found["item"], found["index"] = scope.item, scope.index
        if scope.parts is not None:
            found["parts"] = scope.parts
        if "last" in wanted:
            found["last"] = scope.last
        return found

    inputs: Mapping[str, Any] = {}
    passing: Frame | None = None
    at = frame
    while at is not None:
        if isinstance(at.owner, Step) and passing is None:
            passing = at  # the nearest, also where its `last` is null
        if at.outer is None:
            inputs = at.inputs
        at = at.outer

    def ended(name: str) -> str:
        producer = find(loop, frame, name)
        if producer is not None:
            return producer.status
        return "failed" if _dropped(loop, frame, name) is not None else ""

    last = None if passing is None else passing.last
    return Scope(output, inputs, last=last, names=names, ended=ended)


def skipped_by(
    loop: Loop, frame: Frame | None, tree: Mapping[str, Any], inputs: Mapping[str, Any]
) -> str | None:
    """The name of a skipped producer without which an input cannot be; None if there is none.

    Args:
        inputs: The schema of the input.
    """
    for path, leaf in leaves(tree):
        if not isinstance(leaf, FromStep):
            continue
        producer = find(loop, frame, leaf.name)
        if producer is None or producer.status != "skipped":
            continue
        wanted = subschema_at(inputs, path)
        if isinstance(wanted, dict) and not may_fit({"type": "null"}, wanted):
            return leaf.name
    return None


def without_skipped(tree: Any, loop: Loop, frame: Frame | None) -> Any:
    """A tree in which what refers to a skipped producer is null."""
    if isinstance(tree, FromStep):
        producer = find(loop, frame, tree.name)
        return None if producer is not None and producer.status == "skipped" else tree
    if isinstance(tree, dict):
        return {key: without_skipped(value, loop, frame) for key, value in tree.items()}
    if isinstance(tree, list):
        return [without_skipped(value, loop, frame) for value in tree]
    return tree


def fill_input(
    state: RunState, task: Task, filler: Callable[[Scope], Any], scope: Scope
) -> Failure | None:
    """Fill a task's input from its tree, with its defaults.

    Args:
        filler: The tree, compiled: what gives the input.

    Returns:
        Why it cannot run, or None.
    """
    worker = task.worker
    try:
        value = filler(scope)
    except Unmet as error:
        return error.failure
    except (NothingThere, EvaluationError) as error:
        said = sizes.cut(state, str(error))
        return Failure("unmet_reference", said, cause=Cause(worker))
    contract = worker.inputs
    task.input = value
    task.resolved = resolved = contract.with_defaults(value)
    policy = task.loop.orchestrator.policy
    if state.bounds:
        task.input_bytes = total = size_of(resolved, policy.max_input_bytes)
        if total > policy.max_input_bytes:
            said = f"its input takes more than {size_words(policy.max_input_bytes)}"
            cause = Cause(task.loop.orchestrator, "policy.max_input_bytes")
            return Failure("unmet_reference", f"{said} (`max_input_bytes`)", cause=cause)
    if contract.is_valid(resolved):
        return None
    problems = sizes.cut(state, "; ".join(contract.problems(resolved)))
    return Failure(
        "unmet_reference",
        f"the value does not match the input of `{worker.name}`: {problems}",
        cause=of_input(worker, problems),
    )


def prepare(state: RunState, task: Task) -> Failure | Literal["skipped"] | None:
    """Fill the input of a task that is not an item, or say why it does not run."""
    loop, frame, tree = task.loop, task.frame, task.tree
    scope = scope_of(loop, frame, state.params)
    try:
        if task.when is not None and not holds(task.when, scope):
            return "skipped"
    except Unmet as error:
        return error.failure
    if tree is None:
        return None
    if skipped_by(loop, frame, tree, task.worker.inputs.schema) is not None:
        return "skipped"
    written = task.input
    failure = fill_input(state, task, partial(fill, without_skipped(tree, loop, frame)), scope)
    if frame is None:
        task.input = written  # as the decision gave it
    return failure


def holds(test: Test, scope: Scope) -> bool:
    """Whether a test holds.

    Raises:
        Unmet: What it looks at has failed.
    """
    try:
        return test.holds(scope)
    except (NothingThere, EvaluationError) as error:
        raise Unmet(Failure("unmet_reference", f"a test cannot be evaluated: {error}")) from None


def too_early(entry: Task | Step) -> Failure | None:
    """Why a limit lets an entry not begin that was to come after another worker's; or None."""
    loop, worker = entry.loop, entry.worker
    for name in entry.after:
        if worker is not None and not loop.done.get(name):
            return Failure(
                "unmet_reference",
                f"it runs only after `{name}`, and no task of it succeeded",
                cause=Cause(loop.orchestrator.limits[worker.name], "after"),
            )
    return None
