"""A step in short, however many items it has: counts, failures by kind, figures.

A summary is computed from a `Step` and nothing else, in one pass over its items. Its fields, types,
numbers and literals are words of the program, so a summary taints nothing; only the messages of
failures, the labels and the preview are the words of workers. It says nothing twice and lists no
item: prompts, reports and terminals choose from it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from engine.errors import Failure
from engine.runtime.state import Step, Task
from engine.sema.model import Orchestrator, Worker
from engine.sema.plans.selection import Number, number_text
from engine.sema.plans.steps import EachStep, RepeatStep, StepKind, kind_of
from engine.sema.types.schema_facts import follow, json_types

__all__ = [
    "Counts",
    "FailureKind",
    "Numbers",
    "Summary",
    "counts_of",
    "failures_of",
    "kind",
    "preview_of",
    "summary_of",
]

_encode = msgspec.json.Encoder().encode

#: Of how many fields of the outputs there are figures.
MOST_FIELDS = 12
#: How many values of one field are counted; a field with more is not told.
MOST_LITERALS = 12
#: References that are followed to the schema of a field.
_MOST_REFERENCES = 16


class Counts(msgspec.Struct, frozen=True):
    """How far a step has come. `total` is the sum of the first five.

    Attributes:
        done: Items that are done; of a `reduce` its calls, of a `repeat` its passes.
        failed: Items that have failed, those that got no task included.
        skipped: Items that were not needed.
        running: Items that are under way or are checked.
        waiting: Items that wait for a slot, and values that have no task yet.
        dropped: Of the failed: values that got no task.
        known: Whether nothing comes to `total` any more.
    """

    done: int = 0
    failed: int = 0
    skipped: int = 0
    running: int = 0
    waiting: int = 0
    dropped: int = 0
    known: bool = False

    @property
    def total(self) -> int:
        """How many there are so far."""
        return self.done + self.failed + self.skipped + self.running + self.waiting

    @property
    def over(self) -> int:
        """How many have ended."""
        return self.done + self.failed + self.skipped


class FailureKind(msgspec.Struct, frozen=True):
    """The failures of one mode.

    Attributes:
        first: The id of the first item that failed so.
        label: Its label, or "".
        message: What it said.
    """

    mode: str
    count: int
    first: str
    label: str
    message: str


class Numbers(msgspec.Struct, frozen=True):
    """The numbers in one field of the outputs."""

    count: int
    least: int | float
    mean: int | float
    most: int | float


class Summary(msgspec.Struct, frozen=True):
    """A step in short.

    Attributes:
        failures: By mode, the most frequent first.
        shape: The type of an output, as the program writes it; "" for a `repeat`.
        numbers: By the field of the outputs; "" is an output that is itself a number.
        literals: By field: how often each of the values occurs that the type lists, as JSON.
    """

    kind: StepKind
    counts: Counts
    failures: tuple[FailureKind, ...] = ()
    shape: str = ""
    numbers: Mapping[str, Numbers] = {}
    literals: Mapping[str, Mapping[str, int]] = {}


def kind(step: Step) -> StepKind:
    """`each`, `reduce` or `repeat`."""
    return kind_of(step.spec)


def summary_of(step: Step) -> Summary:
    """A step in short, as far as it has come."""
    numbers: dict[str, Numbers] = {}
    literals: dict[str, dict[str, int]] = {}
    if isinstance(step.spec, EachStep) and step.worker is not None:
        outputs = [task.output for task in step.items.values() if task.status == "done"]
        for name, field in _fields(step.worker).items():
            values = _values(outputs, name)
            if field == "number" and (found := _numbers(values)) is not None:
                numbers[name] = found
            elif field == "literal" and (counted := _counted(values)):
                literals[name] = counted
    return Summary(
        kind(step),
        counts_of(step),
        failures_of(step),
        "" if step.worker is None else _shape(step.worker),
        numbers,
        literals,
    )


# ---------------------------------------------------------------- counts


def counts_of(step: Step) -> Counts:
    """How far a step has come."""
    if isinstance(step.spec, RepeatStep):
        passes = len(step.passes)
        open_ = 0 if step.over or not passes else 1
        return Counts(done=passes - open_, running=open_, known=step.over)
    done = failed = skipped = running = 0
    for task in step.items.values():
        status = task.status
        if status == "done":
            done += 1
        elif status == "failed":
            failed += 1
        elif status == "skipped":
            skipped += 1
        elif status in ("running", "verifying", "unknown"):
            running += 1
    waiting = len(step.items) - done - failed - skipped - running + _unmade(step)
    dropped = len(step.dropped)
    return Counts(done, failed + dropped, skipped, running, waiting, dropped, _is_known(step))


def _unmade(step: Step) -> int:
    """Values that are there and have no task yet; of a `reduce`, calls."""
    if not isinstance(step.spec, EachStep):
        return max(0, step.allowed - len(step.items)) if not step.over else 0
    return len(step.pending)


def _is_known(step: Step) -> bool:
    if step.over or step.stopped is not None:
        return True
    if step.status == "blocked":
        return False
    return not isinstance(step.spec, EachStep) or all(flow.over for flow in step.sources)


# ---------------------------------------------------------------- failures


def failures_of(step: Step) -> tuple[FailureKind, ...]:
    """The failures of a step's items, by mode, the most frequent first."""
    found: dict[str, tuple[int, Task | Number, Failure]] = {}
    for entry, failure in _failed(step):
        known = found.get(failure.mode)
        first = (1, entry, failure) if known is None else (known[0] + 1, *known[1:])
        found[failure.mode] = first
    kinds = [
        FailureKind(
            mode,
            count,
            first.id if isinstance(first, Task) else f"{step.id}[{number_text(first)}]",
            first.label if isinstance(first, Task) else "",
            failure.message,
        )
        for mode, (count, first, failure) in found.items()
    ]
    return tuple(sorted(kinds, key=lambda one: -one.count))


def _failed(step: Step) -> Iterator[tuple[Task | Number, Failure]]:
    for task in step.items.values():
        if task.failure is not None:
            yield task, task.failure
    for number, _, failure in step.dropped:
        yield number, failure


# ---------------------------------------------------------------- figures


def _shape(worker: Worker | Orchestrator) -> str:
    return str(worker.output.type)


def _fields(worker: Worker | Orchestrator) -> dict[str, str]:
    """The fields of a worker's output that hold `number`s or `literal`s, by name.

    "" is the output itself. Only what the contract names counts: the keys of a map are words of
    the worker.
    """
    schema = worker.output.schema
    place = _followed(schema, schema)
    kind_ = _figure(schema, place)
    if kind_:
        return {"": kind_}
    properties = place.get("properties")
    if not isinstance(properties, dict):
        return {}
    found = {name: _figure(schema, inner) for name, inner in properties.items()}
    kept = [(name, figure) for name, figure in found.items() if figure]
    return dict(kept[:MOST_FIELDS])


def _followed(root: Mapping[str, Any], place: Any) -> Mapping[str, Any]:
    for _ in range(_MOST_REFERENCES):
        if not isinstance(place, dict) or "$ref" not in place:
            break
        place = follow(root, place["$ref"])
    return place if isinstance(place, dict) else {}


def _figure(root: Mapping[str, Any], place: Any) -> str:
    """Whether a schema's values are `number`s or `literal`s, or null; "" for all else."""
    if _is_listed(root, place, 0):
        return "literal"
    kinds = json_types(root, place) - {"null"}
    if kinds and kinds <= {"number", "integer"}:
        return "number"
    return "literal" if kinds == {"boolean"} else ""


def _is_listed(root: Mapping[str, Any], place: Any, depth: int) -> bool:
    """Whether a schema lists its values one by one; null may be there too."""
    place = _followed(root, place)
    if "const" in place or isinstance(place.get("enum"), list):
        return True
    branches = place.get("anyOf")
    if not isinstance(branches, list) or depth > 2:
        return False
    rest = [branch for branch in branches if branch != {"type": "null"}]
    return bool(rest) and all(_is_listed(root, branch, depth + 1) for branch in rest)


def _values(outputs: list[Any], name: str) -> list[Any]:
    if name == "":
        return outputs
    return [output.get(name) for output in outputs if output.__class__ is dict]


def _numbers(values: list[Any]) -> Numbers | None:
    found = [value for value in values if value.__class__ is int or value.__class__ is float]
    if not found:
        return None
    try:
        total = sum(found)
        mean = total / len(found)
    except OverflowError:  # whole numbers beyond what a float can be
        mean = sum(map(int, found)) // len(found)
    return Numbers(len(found), min(found), mean, max(found))


def _counted(values: list[Any]) -> dict[str, int] | None:
    """How often each value occurs, the most frequent first; None where there are too many."""
    found: dict[str, int] = {}
    for value in values:
        key = f'"{value}"' if value.__class__ is str else _encode(value).decode()
        found[key] = found.get(key, 0) + 1
        if len(found) > MOST_LITERALS:
            return None
    return dict(sorted(found.items(), key=lambda pair: -pair[1]))


# ---------------------------------------------------------------- preview


def preview_of(step: Step, limit_bytes: int) -> tuple[str, int]:
    """The beginning of what a step gives, as JSON, in at most about `limit_bytes`.

    Returns:
        The text, and how many outputs of an `each` it shows whole; of all other steps 0.
    """
    if not isinstance(step.spec, EachStep):
        value = step.output if step.status == "done" else step.partial
        return _cut(_encode(value), limit_bytes), 0
    shown: list[str] = []
    left = limit_bytes
    for _, task in sorted(step.items.items()):
        if task.status != "done":
            continue
        data = _encode(task.output)
        left -= len(data) + 2
        if left < 0:
            if not shown:
                shown.append(_cut(data, limit_bytes))
                return "".join(shown), 0
            break
        shown.append(data.decode())
    return ", ".join(shown), len(shown)


def _cut(data: bytes, limit_bytes: int) -> str:
    return data[:limit_bytes].decode(errors="ignore")
