"""The failures of a run, each drawn at its place in the source as the linter draws a diagnostic.

What is drawn is the text that the run was started with, which its journal keeps: a file that was
edited since is not looked at, and no file is opened. Source lines pass the redactor like any other
text, before they are cut.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import IO, Any

import msgspec

from engine.cli.format_values import one_line
from engine.cli.output import screen_width, use_color
from engine.cli.step_lines import entry_path
from engine.diagnostics import render_terminal
from engine.errors import Failure
from engine.printable import printable
from engine.redaction import current
from engine.runtime.places import span_of
from engine.runtime.state import Loop, RunState, Step
from engine.runtime.steps.summary import counts_of
from engine.sema.plans.selection import number_text
from engine.source import SourceFile, Span

__all__ = ["end_drawn", "failures_drawn"]

#: How many places are drawn; a run may have thousands of failures.
MOST_PLACES = 5


def end_drawn(state: RunState, color: str | None = None, stream: IO[str] | None = None) -> str:
    """The place that the run's own end comes from; "" where it is in no file."""
    loop = state.root
    if loop is None or state.status in ("finished", "waiting"):
        return ""
    span = span_of(state, loop.cause)
    return "" if span is None else _excerpt(span, color, stream or sys.stderr)


def failures_drawn(state: RunState, color: str | None = None, stream: IO[str] | None = None) -> str:
    """The places of the tasks that failed, each place once, with what failed there.

    Of a step, the failures of one mode are told once.
    """
    if state.root is None:
        return ""
    groups: dict[tuple[Any, ...], tuple[Span, list[_Failed]]] = {}
    for found in _failed(state.root):
        span = span_of(state, found.failure)
        if span is not None:
            # A step of a plan is one, however often the plan runs.
            of_step = () if found.step is None else (id(found.step.spec), found.failure.mode)
            where = (span.source.path, span.start, span.end, *of_step)
            groups.setdefault(where, (span, []))[1].append(found)
    blocks = []
    for span, failed in list(groups.values())[:MOST_PLACES]:
        first = failed[0]
        said = one_line(current().text(first.failure.message), 600)
        head = f"{_head(failed)}: {first.failure.mode}"
        blocks.append(f"{head}: {said}\n" if said else f"{head}\n")
        blocks[-1] += _excerpt(span, color, stream or sys.stderr)
    left = len(groups) - MOST_PLACES
    if left > 0:
        blocks.append(f"and failures at {left} more place{'s' if left > 1 else ''}")
    return "\n".join(blocks)


class _Failed(msgspec.Struct, frozen=True):
    """Something that failed: a task, a value that got none, or a step without items.

    Attributes:
        path: Its id with those of the tasks it is in: `a2/b1`.
        worker: Who it was for; "" for a `repeat`.
        step: The step that it is an item of, or None.
    """

    path: str
    worker: str
    failure: Failure
    step: Step | None = None
    label: str = ""


def _head(failed: list[_Failed]) -> str:
    first, number = failed[0], len(failed)
    worker = f" {first.worker}" if first.worker else ""
    label = f" ({one_line(current().text(first.label), 60)})" if first.label else ""
    if first.step is None or number == 1 or any(one.step is not first.step for one in failed):
        more = f" (and {number - 1} more)" if number > 1 else ""
        return f"{first.path}{label}{worker}{more}"
    total = counts_of(first.step).total
    return f"{entry_path(first.step)}{worker}, {number} of {total}, first {first.path}{label}"


def _failed(loop: Loop) -> Iterator[_Failed]:
    """What failed, the innermost first."""
    for task in loop.every_task():
        if task.child is not None:
            yield from _failed(task.child)
        if task.failure is not None:
            name = task.worker.name
            yield _Failed(entry_path(task), name, task.failure, task.step, task.label)
    for step in loop.every_step():
        worker = "" if step.worker is None else step.worker.name
        path = entry_path(step)
        for number, _, failure in step.dropped:
            yield _Failed(f"{path}[{number_text(number)}]", worker, failure, step)
        if step.failure is not None and not counts_of(step).failed:
            yield _Failed(path, worker, step.failure)


def _excerpt(span: Span, color: str | None, stream: IO[str]) -> str:
    shown = _redacted(span)
    if shown is None:
        return f" --> {printable(str(span))}"
    return render_terminal.excerpt(
        shown, color=use_color(stream, color), width=screen_width(stream)
    )


def _redacted(span: Span) -> Span | None:
    """The range in a text without secrets; where one lies across its edge, the lines it is in.

    None where a secret of several lines does, so that no line could be shown as what it is.
    """
    text, clean = span.source.text, current().text
    cleaned = clean(text)
    if cleaned == text:
        return span
    source = SourceFile(span.source.path, cleaned)
    before, after = clean(text[: span.start]), clean(text[span.end :])
    if cleaned.startswith(before) and cleaned.endswith(after):
        end = len(cleaned) - len(after)
        if len(before) < end:
            return Span(source, len(before), end)
    first, last = span.begin_position.line, span.end_position.line
    if source.line_count != span.source.line_count:
        return None
    return Span(source, source.offset(first, 1), source.offset(last, len(source.line(last)) + 1))
