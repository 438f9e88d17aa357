"""A `Diagnostic`: one thing that is wrong with a program, where, why, and what helps.

Diagnostics are values. A phase collects them and continues; it never raises over a phase's end.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from engine.diagnostics.catalogue import RULES
from engine.diagnostics.rule import Severity
from engine.source import Span

__all__ = ["Diagnostic", "Edit", "Fix", "Related", "diagnostic", "sort_diagnostics"]


class Edit(msgspec.Struct, frozen=True):
    """Replace the text of `span` by `text`."""

    span: Span
    text: str


class Fix(msgspec.Struct, frozen=True):
    """Edits that remove the cause. `safe` fixes keep the meaning of the program."""

    title: str
    edits: tuple[Edit, ...]
    safety: Literal["safe", "unsafe"] = "safe"


class Related(msgspec.Struct, frozen=True):
    """Another place that belongs to the finding, such as the first declaration of a name."""

    message: str
    span: Span


class Diagnostic(msgspec.Struct, frozen=True):
    """One finding.

    Attributes:
        code: `ORC` and three digits, a key of the rule catalogue.
        message: One sentence that names the cause, without a full stop.
        span: The range the finding is about.
        help: What the user can do, or None.
        fix: How `orch lint --fix` would do it, or None.
        related: Other places to look at.
    """

    code: str
    severity: Severity
    message: str
    span: Span
    help: str | None = None
    fix: Fix | None = None
    related: tuple[Related, ...] = ()

    @property
    def name(self) -> str:
        """The rule's name in words, such as `unknown-name`."""
        return RULES[self.code].name

    @property
    def location(self) -> str:
        """`path:line:column`, 1-based."""
        return str(self.span)


def diagnostic(
    code: str,
    message: str,
    span: Span,
    *,
    help: str | None = None,
    fix: Fix | None = None,
    related: tuple[Related, ...] = (),
) -> Diagnostic:
    """Make a diagnostic with the severity its rule has in the catalogue."""
    return Diagnostic(code, RULES[code].severity, message, span, help, fix, related)


def sort_diagnostics(found: list[Diagnostic]) -> list[Diagnostic]:
    """In order of file, position and code; exact repetitions removed."""
    seen: set[tuple[str, int, int, str, str]] = set()
    result: list[Diagnostic] = []
    for item in sorted(
        found, key=lambda d: (d.span.source.path, d.span.start, d.span.end, d.code, d.message)
    ):
        key = (item.span.source.path, item.span.start, item.span.end, item.code, item.message)
        if key not in seen:
            seen.add(key)
            result.append(item)
    return result
