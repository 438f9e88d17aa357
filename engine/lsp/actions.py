"""Code actions: the fixes of findings, all safe ones at once, and allowing a finding."""

from __future__ import annotations

from lsprotocol import types as lsp

from engine.diagnostics import RULES, Diagnostic, Edit
from engine.linter.fixing import apply_fixes
from engine.lsp.diagnostics import as_diagnostic
from engine.lsp.project import Analysis, Project
from engine.lsp.tree import path_to
from engine.syntax import ast

__all__ = ["FIX_ALL", "code_actions"]

#: The kind of the action that applies all safe fixes; editors can run it on save.
FIX_ALL = "source.fixAll.orch"


def code_actions(
    project: Project, analysis: Analysis, range: lsp.Range, only: list[str] | None
) -> list[lsp.CodeAction]:
    """What can be done about the findings in a range of a workflow.

    Args:
        only: The kinds that are asked for, or None for all.
    """
    source = analysis.module.source
    places = analysis.places(source)
    start, end = places.offset(range.start), places.offset(range.end)
    own = [item for item in analysis.diagnostics if item.span.source is source]
    here = [item for item in own if item.span.start <= end and start <= item.span.end]
    found: list[lsp.CodeAction] = []
    if _wanted(lsp.CodeActionKind.QuickFix, only):
        for item in here:
            found += _fixes(project, analysis, item)
        found += _allow(project, analysis, here)
    if _wanted(FIX_ALL, only):
        found += _fix_all(project, analysis, own)
    return found


def _wanted(kind: str, only: list[str] | None) -> bool:
    """Whether a kind is one of those asked for, or below one."""
    return only is None or any(kind == asked or kind.startswith(f"{asked}.") for asked in only)


def _fixes(project: Project, analysis: Analysis, item: Diagnostic) -> list[lsp.CodeAction]:
    if item.fix is None:
        return []
    safe = item.fix.safety == "safe"
    title = item.fix.title[:1].upper() + item.fix.title[1:]
    return [
        lsp.CodeAction(
            title=title if safe else f"{title} (may change the meaning)",
            kind=lsp.CodeActionKind.QuickFix,
            diagnostics=[as_diagnostic(item, analysis, project)],
            is_preferred=safe,
            edit=_edit(project, analysis, item.fix.edits),
        )
    ]


def _edit(project: Project, analysis: Analysis, edits: tuple[Edit, ...]) -> lsp.WorkspaceEdit:
    changes: dict[str, list[lsp.TextEdit]] = {}
    for edit in edits:
        source = edit.span.source
        changes.setdefault(project.documents.uri(source.path), []).append(
            lsp.TextEdit(analysis.places(source).span(edit.span), edit.text)
        )
    return lsp.WorkspaceEdit(changes=changes)


def _allow(project: Project, analysis: Analysis, here: list[Diagnostic]) -> list[lsp.CodeAction]:
    """Comments on the line above that allow findings, one for each line and code."""
    source = analysis.module.source
    places = analysis.places(source)
    groups: dict[tuple[int, str], list[lsp.Diagnostic]] = {}
    for item in here:
        line = _comment_line(analysis, item)
        if line is not None:
            about = groups.setdefault((line, item.code), [])
            about.append(as_diagnostic(item, analysis, project))
    found = []
    for (line, code), about in groups.items():
        text = places.line(line)
        indent = text[: len(text) - len(text.lstrip())]
        at = lsp.Range(lsp.Position(line, 0), lsp.Position(line, 0))
        edit = lsp.TextEdit(at, f"{indent}// orch: allow[{code}]\n")
        found.append(
            lsp.CodeAction(
                title=f"Allow {code} here",
                kind=lsp.CodeActionKind.QuickFix,
                diagnostics=about,
                edit=lsp.WorkspaceEdit(changes={project.documents.uri(source.path): [edit]}),
            )
        )
    return found


def _comment_line(analysis: Analysis, item: Diagnostic) -> int | None:
    """The line above which a comment would allow a finding; None if none can."""
    if not RULES[item.code].allowable:
        return None
    places = analysis.places(analysis.module.source)
    line = places.position(item.span.start).line
    if places.line(line).lstrip().startswith("//"):
        return None  # a comment is about the first line below it that is none
    around = path_to(analysis.document, places.offset(lsp.Position(line, 0)))
    if around and isinstance(around[-1], ast.String):
        # Inside a text the comment would be part of it: it is where the text begins.
        return places.position(around[-1].span.start).line
    return line


def _fix_all(project: Project, analysis: Analysis, own: list[Diagnostic]) -> list[lsp.CodeAction]:
    source = analysis.module.source
    text, applied = apply_fixes(source.text, own)
    if not applied or text == source.text:
        return []
    whole = lsp.TextEdit(analysis.places(source).whole, text)
    count = f"all {len(applied)} findings" if len(applied) > 1 else "the finding"
    return [
        lsp.CodeAction(
            title=f"Fix {count} with a safe fix",
            kind=FIX_ALL,
            edit=lsp.WorkspaceEdit(changes={project.documents.uri(source.path): [whole]}),
        )
    ]
