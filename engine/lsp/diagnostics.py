"""Findings as the protocol wants them, and to which documents they belong.

A check that begins at one file finds things in others too: in what it imports, in its templates.
A workflow that is open has its own check, which finds more in it than one that only imports it,
so its findings are its own; those in any other file are the union over the open workflows.
"""

from __future__ import annotations

from collections.abc import Iterable

from lsprotocol import types as lsp

from engine.diagnostics import Diagnostic
from engine.lsp.project import Analysis, Project

__all__ = ["as_diagnostic", "by_document"]

_SEVERITIES = {
    "error": lsp.DiagnosticSeverity.Error,
    "warning": lsp.DiagnosticSeverity.Warning,
    "info": lsp.DiagnosticSeverity.Information,
}

#: What can be left out; editors show it faded.
_UNNECESSARY = frozenset({"ORC307", "ORC607", "ORC701", "ORC705", "ORC901"})


def as_diagnostic(item: Diagnostic, analysis: Analysis, project: Project) -> lsp.Diagnostic:
    """One finding."""
    related = [
        lsp.DiagnosticRelatedInformation(
            lsp.Location(
                project.documents.uri(other.span.source.path),
                analysis.places(other.span.source).span(other.span),
            ),
            other.message,
        )
        for other in item.related
    ]
    return lsp.Diagnostic(
        range=analysis.places(item.span.source).span(item.span),
        message=item.message if item.help is None else f"{item.message}\nhelp: {item.help}",
        severity=_SEVERITIES[item.severity],
        code=item.code,
        source="orch",
        related_information=related or None,
        tags=[lsp.DiagnosticTag.Unnecessary] if item.code in _UNNECESSARY else None,
    )


def by_document(project: Project, analyses: Iterable[Analysis]) -> dict[str, list[lsp.Diagnostic]]:
    """The findings of the open workflows, by URI; every file they read has an entry."""
    opened = {document.path for document in project.documents.all() if document.is_orch}
    found: dict[str, list[lsp.Diagnostic]] = {}
    seen: set[tuple[str, str, int, int, str]] = set()
    for analysis in analyses:
        for path in analysis.files:
            found.setdefault(project.documents.uri(path), [])
        for item in analysis.diagnostics:
            path = item.span.source.path
            key = (path, item.code, item.span.start, item.span.end, item.message)
            if (path in opened and path != analysis.path) or key in seen:
                continue
            seen.add(key)
            uri = project.documents.uri(path)
            found.setdefault(uri, []).append(as_diagnostic(item, analysis, project))
    return found
