"""ORC908, ORC909: comments that are something else than they look like."""

from __future__ import annotations

import re
from collections.abc import Iterator

from engine.diagnostics import Diagnostic, Edit, Fix, diagnostic
from engine.diagnostics.rule import Rule
from engine.linter.subject import Subject
from engine.sema.names.loader import SYNTAX_FAULTS
from engine.source import Span

__all__ = ["comment_for_division", "dangling_doc_comment"]

_NUMBER_ALONE = re.compile(r"//\s*\d[\w.]*%?\s*[)\]},]*\s*\Z")
_VALUE_BEFORE = re.compile(r"(?:=|[-+*(,\[:]|\bassert\b).*[\w)\]]\s*\Z")


COMMENT_FOR_DIVISION = Rule(
    code="ORC909",
    name="comment-for-division",
    severity="warning",
    summary="A `//` after a value begins a comment; it does not divide.",
    why="`7 // 2` is 7.",
    bad="""\
verifier many(n: int) via rules { assert n > 7 // 2
}""",
    good="""\
verifier many(n: int) via rules { assert n > (7 / 2) | int
}""",
    allowable=True,
)


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


DANGLING_DOC_COMMENT = Rule(
    code="ORC908",
    name="dangling-doc-comment",
    severity="warning",
    summary="A `///` comment is not followed by anything that could be documented.",
    why="Models read doc comments. A comment that documents nothing is never read.",
    bad="""\
model m {
  id = "openai/gpt-5-mini"
  /// Cheap and quick.
}""",
    good="""\
/// Cheap and quick.
model m { id = "openai/gpt-5-mini" }""",
    allowable=True,
)


def dangling_doc_comment(subject: Subject) -> Iterator[Diagnostic]:
    """ORC908: a `///` before nothing that could be documented."""
    document = subject.result.scopes.entry.module.document
    faults = [
        item.span.start
        for item in subject.result.diagnostics
        if item.code in SYNTAX_FAULTS and item.span.source is document.source
    ]
    nodes = sorted((node.span for node in document.declarations), key=lambda span: span.start)
    for span in document.comments:
        following = next((node.end for node in nodes if node.start >= span.end), None)
        if any(span.end <= at and (following is None or at < following) for at in faults):
            continue  # what it documents could not be read
        if span.text.startswith("///") and not span.text.startswith("////"):
            slashes = Span(span.source, span.start, span.start + 3)
            yield diagnostic(
                "ORC908",
                "this `///` documents nothing: no declaration, field or setting follows it",
                span,
                help="write `//`, or put it right before what it is about",
                fix=Fix("make it a comment", (Edit(slashes, "//"),)),
            )
