"""ORC905: a file that `orch fmt` would change.

The one rule that is off unless it is named: it parses the file again, which would double the time
of linting, and who runs `orch fmt --check` needs it not.
"""

from __future__ import annotations

from collections.abc import Iterator

from engine.diagnostics import Diagnostic, Edit, Fix, diagnostic
from engine.diagnostics.rule import Rule
from engine.errors import CompileError, InternalError
from engine.formatter.formatting import format_source
from engine.linter.subject import Subject
from engine.source import Span

__all__ = ["not_formatted"]


NOT_FORMATTED = Rule(
    code="ORC905",
    name="not-formatted",
    severity="warning",
    summary="The file is not laid out as `orch fmt` does.",
    why=(
        "Layout is for `orch fmt`, and `orch fmt --check` is how CI asks for it. This "
        "rule is off unless it is named: `--select ORC905`, or `extend-select` in the "
        "configuration."
    ),
    bad='''\
orch 1
param region:string = "eu"''',
    good="""\
orch 1

param region: string = "eu"
""",
    allowable=True,
    optional=True,
)


def not_formatted(subject: Subject) -> Iterator[Diagnostic]:
    """The lines from the first to the last that would change."""
    source = subject.result.scopes.entry.module.source
    try:
        after = format_source(source)
    except (CompileError, InternalError):
        return  # a syntax error, which was reported; or a bug, which `orch fmt` reports
    before = source.text
    if before == after:
        return
    start = _same_lines(before, after)
    end = min(len(before), len(after)) - start
    end = min(_same_lines(before[::-1], after[::-1]), end)
    changed = Span(source, start, len(before) - end)
    text = after[start : len(after) - end]
    line = before.find("\n", start)
    yield diagnostic(
        "ORC905",
        "the file is not laid out as `orch fmt` does",
        Span(source, start, max(start, len(before) if line == -1 else line)),
        help="run `orch fmt`",
        fix=Fix("format the file", (Edit(changed, text),)),
    )


def _same_lines(one: str, other: str) -> int:
    """How many characters of whole lines two texts begin with alike."""
    same = 0
    for left, right in zip(one.splitlines(True), other.splitlines(True), strict=False):
        if left != right:
            break
        same += len(left)
    return same
