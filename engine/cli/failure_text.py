"""The failures of a run, each drawn at its place in the source as the linter draws a diagnostic.

What is drawn is the text that the run was started with, which its journal keeps: a file that was
edited since is not looked at, and no file is opened. Source lines pass the redactor like any other
text, before they are cut.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import IO

from engine.cli.format_values import one_line
from engine.cli.output import screen_width, use_color
from engine.diagnostics import render_terminal
from engine.printable import printable
from engine.redaction import current
from engine.runtime.places import span_of
from engine.runtime.state import Loop, RunState, Task
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
    """The places of the tasks that failed, each place once, with what failed there."""
    if state.root is None:
        return ""
    groups: dict[tuple[str, int, int], tuple[Span, list[tuple[str, Task]]]] = {}
    for path, task in _failed(state.root):
        span = span_of(state, task.failure)
        if span is not None:
            where = (span.source.path, span.start, span.end)
            groups.setdefault(where, (span, []))[1].append((path, task))
    blocks = []
    for span, tasks in list(groups.values())[:MOST_PLACES]:
        path, first = tasks[0]
        assert first.failure is not None
        more = f" (and {len(tasks) - 1} more)" if tasks[1:] else ""
        said = one_line(current().text(first.failure.message), 600)
        head = f"{path} {first.worker.name}{more}: {first.failure.mode}"
        blocks.append(f"{head}: {said}\n" if said else f"{head}\n")
        blocks[-1] += _excerpt(span, color, stream or sys.stderr)
    left = len(groups) - MOST_PLACES
    if left > 0:
        blocks.append(f"and failures at {left} more place{'s' if left > 1 else ''}")
    return "\n".join(blocks)


def _failed(loop: Loop, above: str = "") -> Iterator[tuple[str, Task]]:
    """The tasks that failed, the innermost first, each with its path (`a2/b1`)."""
    for task in loop.tasks.values():
        if task.child is not None:
            yield from _failed(task.child, f"{above}{task.id}/")
        if task.failure is not None:
            yield f"{above}{task.id}", task


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
