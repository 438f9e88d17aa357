"""What can be wrong with a decision, one sentence each: a rejected decision is answered with these.

What is wrong with a value by its schema is said by `engine.sema.types.explain`, and joined to the
place here. `blocks.rejection` puts a list of them together.
"""

from __future__ import annotations

from collections.abc import Iterable

from engine.errors import Failure


def broke_off(failure: Failure) -> str:
    """An answer that ended in the middle."""
    return f"the answer broke off ({failure.mode}: {failure.message})"


def decision_too_large(size: str, most: str) -> str:
    """A decision that takes more than the policy admits."""
    return (
        f"the decision takes {size}, and may take {most} (`max_decision_bytes`): pass large "
        "values by reference"
    )


def result_too_large(most: str) -> str:
    """A result that takes more than its orchestrator may give."""
    return f"finish: the result takes more than {most} (`max_bytes`): shorten it"


#: A person's plan that would end the run.
PLAN_HAS_NO_TASKS = "a plan needs `tasks`: it replaces a decision that gives tasks"


def not_a_decision(kind: str) -> str:
    """An answer that is not an object."""
    return f"a decision is an object with `tasks` or `finish`, not {kind}"


def unknown_decision_key(key: str) -> str:
    """A key that a decision does not have."""
    return f"a decision has no key `{key}`; its keys are `assessment` and one of `tasks`, `finish`"


ASSESSMENT_NOT_TEXT = "`assessment` must be a string"
BOTH_FORMS = "a decision gives `tasks` or `finish`, never both"
NEITHER_FORM = "a decision gives either `tasks` or `finish`; this one gives neither"
NO_TASKS = "`tasks` is empty: give at least one task, or `finish`"


def tasks_not_list(kind: str) -> str:
    """`tasks` that is not a list."""
    return f"`tasks` must be a list, not {kind}"


def too_many_tasks(count: int, allowed: int) -> str:
    """More tasks than fit in a round."""
    return f"{count} tasks in one decision; the policy allows {allowed} a round"


def too_many_with_early(new: int, early: int, allowed: int) -> str:
    """More tasks than fit in a round, with those that run already."""
    return f"{new} new tasks, and {early} already started: the policy allows {allowed} a round"


def task_at(index: int) -> str:
    """A task without an id, by its place."""
    return f"tasks[{index}]"


def task_named(task: str) -> str:
    """A task by its id."""
    return f"task `{task}`"


def not_an_object(where: str, kind: str) -> str:
    """A task that is not an object."""
    return f"{where} must be an object, not {kind}"


def key_missing(where: str, key: str) -> str:
    """A task without one of its keys."""
    return f"{where} has no `{key}`"


def key_unknown(where: str, key: str) -> str:
    """A task with another key."""
    return f"{where} has an unknown key `{key}`"


def bad_id(where: str) -> str:
    """An id that cannot be one."""
    return f"{where}: an id is 1 to 64 letters, digits, `_`, `-` or `.`, such as `a1`"


def did_you_mean(name: str | None) -> str:
    """A guess at what was meant; "" where there is none."""
    return f"; did you mean `{name}`?" if name is not None else ""


def unknown_worker(where: str, name: str, close: str | None, known: Iterable[str]) -> str:
    """A worker that is not in the catalogue."""
    names = ", ".join(known)
    return f"{where}: unknown worker `{name}`{did_you_mean(close)} (workers: {names})"


def input_not_object(where: str, kind: str) -> str:
    """An input that is not an object."""
    return f"{where}: `input` must be an object, not {kind}"


def entry_not_named(where: str) -> str:
    """An item of an input, in the wire form, without a name."""
    return f"{where}: each item of `input` is an object with a `name`"


def given_twice(where: str, name: str) -> str:
    """Two items of an input with one name."""
    return f"{where}: `{name}` is given twice"


def entry_without_value(where: str, name: str) -> str:
    """An item of an input, in the wire form, that says nothing."""
    return f"{where}: `{name}` needs one of `value`, `json`, or `from` with `at`"


def part_problem(where: str, problem: str) -> str:
    """What is wrong with a part of a step, in the wire form."""
    return f"{where}: {problem}"


def not_json_text(what: str, why: object) -> str:
    """A value that was to be written as JSON text."""
    return f"{what}: the JSON text cannot be read: {why}"


def input_problem(where: str, worker: str, problem: str) -> str:
    """What is wrong with an input, by its schema."""
    return f"{where} ({worker}): input{_at(problem)}"


def finish_problem(problem: str) -> str:
    """What is wrong with a result, by its schema."""
    return f"finish{_at(problem)}"


def finish_not_over(path: str, task: str) -> str:
    """A reference of a result to a task that began with the decision and still runs."""
    return (
        f"finish{path} refers to `{task}`, which has started and not ended: give a decision with "
        "tasks, and finish when its output is there"
    )


def finish_problems_told(problems: Iterable[str], unseen: Iterable[str]) -> list[str]:
    """Problems of a result, without those that may quote values which the planner has not seen.

    Args:
        unseen: The places of the result with such values, as JSON Pointers.
    """
    places = tuple(unseen)
    told = []
    for problem in problems:
        pointer = problem.partition(": ")[0]
        quotes = [
            place
            for place in places
            if problem.startswith(place or "/")
            or place.startswith(pointer)
            or not problem.startswith("/")
        ]
        if not quotes:
            told.append(finish_problem(problem))
            continue
        where = ", ".join(f"finish{place}" for place in quotes[:5])
        told.append(
            f"{where}: what the reference leads to does not fit the result (the value is not shown)"
        )
    return list(dict.fromkeys(told))


def _at(problem: str) -> str:
    """Join a problem (`/a/b: words`, or plain words) to the name of what it is about."""
    return problem if problem.startswith("/") else f": {problem}"


def input_too_large(task: str, worker: str, most: str) -> str:
    """An input that takes more than the policy admits."""
    return (
        f"task `{task}` ({worker}): its input takes more than {most} (`max_input_bytes`): refer "
        "to outputs instead of writing them out"
    )


def id_taken(task: str) -> str:
    """An id that was used before."""
    return f"task id `{task}` is already taken; give each task a new id"


def problem_of(task: str, problem: str) -> str:
    """A problem of one task."""
    return f"task `{task}`: {problem}"


WAITS_TOO_OFTEN = "its tasks wait for one another too often: give fewer at a time"


def out_of_dispatches(count: int, left: int, most: int) -> str:
    """More tasks than the run may still start."""
    told = "finish with what you have" if left == 0 else f"give at most {left}, or finish"
    return f"{count} tasks, but {left} of max_dispatches = {most} are left: {told}"


def out_of_worker(count: int, worker: str, left: int, most: int) -> str:
    """More tasks than one worker may still get."""
    return f"{count} tasks of `{worker}`, but {left} of its max_dispatches = {most} are left"


def refers_to_itself(path: str) -> str:
    """A reference to the task that holds it."""
    return f"input{path} refers to the task itself"


def no_such_task(path: str, task: str | None, close: str | None) -> str:
    """A reference to a task that is not there; `task` is None where it is not even an id."""
    if task is None:
        return f"input{path} refers to a task by something that is not an id{did_you_mean(close)}"
    return f"input{path} refers to `{task}`, which is not a task{did_you_mean(close)}"


def refers_to_failed(path: str, task: str, mode: str) -> str:
    """A reference to a task without an output."""
    return f"input{path} refers to `{task}`, which failed ({mode}): it has no output"


def nothing_at(path: str, task: str, worker: str, at: str) -> str:
    """A pointer that the producer's schema rules out."""
    return f"input{path}: the output of `{task}` ({worker}) can have nothing at {at}"


def does_not_fit(path: str, consumer: str, task: str, worker: str, at: str) -> str:
    """An output that the consumer's schema rules out."""
    return (
        f"input{path} of `{consumer}` cannot take what `{task}` ({worker}) gives at "
        f"{at or 'its root'}"
    )


def only_after(task: str, worker: str, first: str) -> str:
    """A worker whose turn has not come."""
    return (
        f"task `{task}`: `{worker}` runs only after a task of `{first}` has succeeded, and there "
        "is none yet"
    )


def cycle(tasks: Iterable[str]) -> str:
    """Tasks that wait for each other."""
    names = ", ".join(f"`{task}`" for task in tasks)
    return f"tasks {names} wait for each other: references must not form a cycle"


# A model's text that is not the JSON that was asked for.

EMPTY = "the answer is empty"


def answer_too_long(most_bytes: int) -> str:
    """A text that is not read at all."""
    return f"the answer is longer than {most_bytes} bytes"


#: A text whose JSON begins and does not end.
BROKEN_OFF = "the answer breaks off in the middle of its JSON; give all of it, in fewer words"
#: What the run says when that has happened twice.
BROKE_OFF_TWICE = (
    "its answers break off in the middle of their JSON; raise `max_tokens`, or see whether its "
    "context window is full"
)


def not_json(why: object) -> str:
    """A text that does not parse."""
    return f"the answer is not JSON: {why}; begin with `{{` and write nothing else"


def too_many_items(count: int, most: int) -> str:
    """A decision with more tasks than it may become."""
    return f"it has {count} tasks, and a decision may become at most {most} (`max_items`)"
