"""From the sources of a step to its values: whole lists, and values that flow in one by one.

A source that is an `each` of the same plan streams: its items are taken as they end, under their
own numbers, unless the selection needs the whole list. Every other source is read once, when it is
over. All of it is a function of outputs that are in the journal, so it costs no event.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from engine.errors import Failure
from engine.runtime.causes import Cause
from engine.runtime.state import Flow, RunState, Step, Task
from engine.runtime.steps.filling import Unmet, entries_in, find, scope_of, value_of
from engine.sema.expressions.template import EvaluationError
from engine.sema.plans.selection import (
    MAX_SOURCE,
    Entry,
    Selection,
    SelectionError,
    arranged,
    entries_of,
    expanded,
    width,
)
from engine.sema.plans.steps import EachStep, ReduceStep
from engine.sema.plans.values import (
    ABSENT,
    FromStep,
    NothingThere,
    Scope,
    View,
    at_pointer,
    leaf_value,
)

__all__ = [
    "all_skipped",
    "arrived",
    "failure_of",
    "number_of",
    "opened",
    "selection_of",
    "streams",
    "view_at",
    "whole",
]


def selection_of(step: Step) -> Selection:
    """The selection of an `each` or a `reduce`."""
    spec = step.spec
    if isinstance(spec, EachStep):
        return spec.each
    assert isinstance(spec, ReduceStep)
    return spec.reduce


def streams(step: Step, source: Any, producer: Task | Step | None) -> bool:
    """Whether a step takes a source's items as they end."""
    spec = step.spec
    if not isinstance(spec, EachStep) or spec.in_order or not spec.each.flows:
        return False
    return _items_of(step, source, producer) is not None


def _items_of(step: Step, source: Any, producer: Task | Step | None) -> Step | None:
    """The step whose items are the values of a source, under their own numbers; or None."""
    if not isinstance(source, FromStep) or source.at or selection_of(step).entries:
        return None
    if isinstance(producer, Step) and isinstance(producer.spec, EachStep):
        return producer
    return None


def view_at(step: Step, place: int) -> View:
    """Which view of a step one of its sources is."""
    source = selection_of(step).sources[place]
    return source.view if isinstance(source, FromStep) else "outputs"


def failure_of(step: Step, place: int) -> Failure | None:
    """Why a step cannot have the values of a source that is over; None if it can."""
    producer = step.sources[place].producer
    if producer is None:
        return None
    try:
        value_of(producer, view_at(step, place))
    except Unmet as error:
        return error.failure
    return None


def all_skipped(step: Step) -> bool:
    """Whether no source has been there. One of several that was skipped gives no values."""
    return bool(step.sources) and all(
        flow.producer is not None and flow.producer.status == "skipped" for flow in step.sources
    )


def opened(state: RunState, step: Step) -> tuple[list[Entry], Failure | None, bool]:
    """Open the sources of a step.

    Returns:
        The values that are there, selected; why the step cannot run, or None; and whether it is
        skipped because a source of it was.
    """
    entries, failure = _tried(step, lambda: _read_sources(state, step))
    return entries, failure, failure is None and all_skipped(step)


def _read_sources(state: RunState, step: Step) -> list[Entry]:
    """The values that the sources of a step have now, after the shapers that look at one value."""
    selection = selection_of(step)
    scope = scope_of(step.loop, step.frame, state.params)
    found: list[Entry] = []
    looked_at = 0
    for place, source in enumerate(selection.sources):
        producer = (
            find(step.loop, step.frame, source.name) if isinstance(source, FromStep) else None
        )
        flow = Flow(producer, False)
        step.sources.append(flow)
        if producer is not None and producer.status == "skipped":
            flow.over = True
            continue
        items = _items_of(step, source, producer)
        if items is not None and isinstance(source, FromStep):
            flow.streams = streams(step, source, producer)
            flow.over = items.over
            if items.over:
                value_of(items, source.view)
            else:
                items.flows.append((step, place))
            entries = _present(items, source.view)
            head = (place,) if selection.several else ()
            entries = [((*head, *number), value) for number, value in entries]
        else:
            flow.over = True
            value, what = _value(source, scope)
            entries = entries_of(value, selection, place, what)
        if selection.flatten is None and selection.where is None:
            # Each value as it is, and most sources have thousands.
            looked_at += len(entries)
            found += entries
            entries = []
        for entry in entries:
            looked_at += width(selection, entry)
            if looked_at > MAX_SOURCE:
                break
            found.extend(expanded(selection, entry, scope))
        if looked_at > MAX_SOURCE:
            raise SelectionError(f"its sources have more than {MAX_SOURCE} values")
    return found


def _value(source: Any, scope: Scope) -> tuple[Any, str]:
    """The value of a source that is over, and what messages call it."""
    if not isinstance(source, FromStep):
        value = leaf_value(source, scope)
        return (list(value) if isinstance(value, list) else value), "the source"
    what = f"`{source.name}`" + (f" at `{source.at}`" if source.at else "")
    value = at_pointer(scope.output(source.name, source.view), source.at)
    if value is ABSENT:
        raise NothingThere(f"there is nothing at `{source.at}` in the output of `{source.name}`")
    return value, what


def _present(producer: Step, view: str) -> list[Entry]:
    """The items of a step that have ended and are in a view, in the order of their numbers.

    Of one whose end the step has not taken note of, it tells those that take its items itself.
    """
    return entries_in(producer, view, (t for t in producer.items.values() if t.counted))


def arrived(
    state: RunState, step: Step, place: int, entry: Entry
) -> tuple[list[Entry], Failure | None]:
    """What one value of a source that streams becomes."""
    selection = selection_of(step)
    number, value = entry
    if selection.several:
        number = (place, *number)
    scope = scope_of(step.loop, step.frame, state.params)
    return _tried(step, lambda: list(expanded(selection, (number, value), scope)))


def whole(state: RunState, step: Step, entries: list[Entry]) -> tuple[list[Entry], Failure | None]:
    """A whole list after the shapers that need it."""
    scope = scope_of(step.loop, step.frame, state.params)
    return _tried(step, lambda: arranged(selection_of(step), entries, scope))


def _tried(step: Step, select: Callable[[], list[Entry]]) -> tuple[list[Entry], Failure | None]:
    """What a selection gives, or why it cannot be made."""
    try:
        return select(), None
    except Unmet as error:
        return [], error.failure
    except (SelectionError, EvaluationError, NothingThere) as error:
        return [], _fault(step, str(error))


def number_of(state: RunState, probe: Step) -> int | None:
    """How many values a step would select; None if the selection cannot be made.

    Args:
        probe: A step of its own for the look, whose sources are over: it begins with nothing.
    """
    entries, failure, _ = opened(state, probe)
    if failure is None:
        entries, failure = whole(state, probe, entries)
    return None if failure is not None else len(entries)


def _fault(step: Step, said: str) -> Failure:
    owner = step.worker or step.loop.orchestrator
    return Failure("unmet_reference", said, cause=Cause(owner))
