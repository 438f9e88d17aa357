"""Where in a template or expression an exception came from.

Jinja2 keeps the line of a statement and no columns. Python keeps the columns of the instruction
that raised, in the code that Jinja2 has written. So the code is written once more, this time with a
note of what each node became, and the instruction is looked up in these notes. Nothing is evaluated
twice, and nothing here runs unless an evaluation has failed.

Invariant: the code that is written again is the code that ran. It depends on the nodes alone, and
not on their `lineno`, which holds offsets here and lines there.
"""

from __future__ import annotations

import re
from functools import lru_cache
from io import StringIO
from itertools import islice
from types import TracebackType
from typing import Any

import jinja2
from jinja2 import nodes

from engine.sema.expressions.environment import OrchEnvironment, shared_environment
from engine.sema.expressions.generator import Generator
from engine.sema.expressions.positions import Located, TemplateFault, parse_anew
from engine.source import Span

__all__ = ["Written", "innermost", "line_range", "range_in"]

_TOKEN = re.compile(r"\w+(?:\.\d+)?|\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|.", re.DOTALL)
_CLOSERS = {"(": ")", "[": "]", "{": "}"}


class _Recorder(Generator):
    """Writes the code, and notes where in it each expression begins and ends."""

    def __init__(self, environment: OrchEnvironment, stream: StringIO) -> None:
        super().__init__(environment, None, None, stream, optimized=False)
        self._written = stream
        self.notes: list[tuple[int, int, nodes.Expr]] = []

    def visit(self, node: nodes.Node, *args: Any, **kwargs: Any) -> Any:
        """Write a node."""
        begin = self._written.tell()
        result = super().visit(node, *args, **kwargs)
        if isinstance(node, nodes.Expr):
            self.notes.append((begin, self._written.tell(), node))
        return result


class Written:
    """The code of a template or expression, and which part of it each node became.

    Args:
        tree: The nodes; they are changed by this, so they must not be anybody else's.
    """

    def __init__(self, tree: nodes.Template) -> None:
        stream = StringIO()
        recorder = _Recorder(shared_environment(), stream)
        recorder.visit(tree)
        self._code = stream.getvalue()
        self._notes = recorder.notes
        self._starts = [0, *(m.end() for m in re.finditer("\n", self._code))]

    def node_of(self, at: TracebackType) -> nodes.Expr | None:
        """The innermost node whose code was running, if that can be said."""
        where = next(islice(at.tb_frame.f_code.co_positions(), at.tb_lasti // 2, None), None)
        if where is None:
            return None
        line, end_line, column, end_column = where
        if line is None or end_line is None or column is None or end_column is None:
            return None  # Python was told to keep no columns
        if max(line, end_line) > len(self._starts):
            return None
        begin, end = self._offset(line, column), self._offset(end_line, end_column)
        around = [note for note in self._notes if note[0] <= begin and end <= note[1]]
        if around:
            return min(around, key=lambda note: note[1] - note[0])[2]
        inside = [note for note in self._notes if begin <= note[0] and note[1] <= end]
        return max(inside, key=lambda note: note[1] - note[0])[2] if inside else None

    def _offset(self, line: int, column: int) -> int:
        """The offset of a line and a column that counts UTF-8 bytes."""
        start = self._starts[line - 1]
        text = self._code[start : start + column]
        if not text.isascii():
            text = text.encode()[:column].decode(errors="ignore")
        return start + len(text)


def innermost(error: BaseException) -> tuple[TracebackType, jinja2.Template] | None:
    """The innermost step of an exception's way that went through code of a template, and whose."""
    found = None
    at = error.__traceback__
    while at is not None:
        template = at.tb_frame.f_globals.get("__jinja_template__")
        if template is not None:
            found = at, template
        at = at.tb_next
    return found


@lru_cache(maxsize=64)
def _template(text: str) -> Written | None:
    try:
        return Written(parse_anew(text))
    except (jinja2.TemplateError, TemplateFault, RecursionError):
        return None


def range_in(text: str, at: TracebackType) -> tuple[int, int] | None:
    """The offsets of the expression in a template's text that an exception came from.

    Args:
        text: The text of the template whose code `at` went through.
        at: The step of the exception's way.
    """
    written = _template(text)
    node = None if written is None else written.node_of(at)
    return None if node is None else _extent(text, node)


def line_range(text: str, line: int) -> tuple[int, int]:
    """The offsets of a 1-based line, without white space around it."""
    starts = [0, *(m.end() for m in re.finditer("\n", text))]
    start = starts[max(0, min(line, len(starts)) - 1)]
    shown = text[start:].split("\n", 1)[0]
    lead = len(shown) - len(shown.lstrip())
    return start + lead, start + max(len(shown.rstrip()), lead)


def _extent(text: str, node: nodes.Expr) -> tuple[int, int] | None:
    """From the first to the last character of a node; of an attribute, filter or test, its name."""
    named = _named(text, node)
    if named is not None:
        return named
    starts: list[int] = []
    ends: list[int] = []
    for part in [node, *node.find_all(nodes.Node)]:
        if part.lineno is None or part.lineno > len(text) or "orch_toll" in part.__dict__:
            continue
        starts.append(part.lineno)
        match = _TOKEN.match(text, part.lineno)
        end = match.end() if match else part.lineno + 1
        ends.append((_named(text, part) or (0, end))[1])
    if not starts:
        return None
    return min(starts), _balanced(text, min(starts), max(ends))


def _named(text: str, node: nodes.Node) -> tuple[int, int] | None:
    if not isinstance(node, nodes.Getattr | nodes.Filter | nodes.Test) or node.lineno is None:
        return None
    span = Located(text, lambda a, b: Span(None, a, b), None).name_of(node)  # type: ignore[arg-type]
    return span.start, span.end


def _balanced(text: str, start: int, end: int) -> int:
    """Where a range ends that takes in the brackets which close what it opens."""
    open_: list[str] = []
    for match in _TOKEN.finditer(text, start, end):
        token = match[0]
        if token in _CLOSERS:
            open_.append(_CLOSERS[token])
        elif open_ and token == open_[-1]:
            open_.pop()
    while open_:
        closing = re.compile(r"\s*,?\s*" + re.escape(open_.pop())).match(text, end)
        if closing is None:
            break
        end = closing.end()
    return end
