"""ORC909: a comment that looks like the second half of a division."""

from __future__ import annotations

import re
from collections.abc import Iterator

from engine.diagnostics import Diagnostic, diagnostic
from engine.linter.subject import Subject

__all__ = ["comment_for_division"]

_NUMBER_ALONE = re.compile(r"//\s*\d[\w.]*%?\s*[)\]},]*\s*\Z")
_VALUE_BEFORE = re.compile(r"(?:=|[-+*(,\[:]|\bassert\b).*[\w)\]]\s*\Z")


def comment_for_division(subject: Subject) -> Iterator[Diagnostic]:
    """`7 // 2` is `7` and a comment; Jinja2 and Python would divide."""
    module = subject.result.scopes.entry.module
    for span in module.document.comments:
        if _NUMBER_ALONE.match(span.text) is None:
            continue
        begin = span.begin_position
        before = module.source.line(begin.line)[: begin.column - 1]
        if _VALUE_BEFORE.search(before):
            yield diagnostic(
                "ORC909",
                f"`{span.text.rstrip()}` is a comment, not a division",
                span,
                help='to divide, write `(a / b) | round(0, "floor") | int`; else say more here',
            )
