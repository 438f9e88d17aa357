"""The outline of a document, and the search for a declaration in the workspace."""

from __future__ import annotations

from lsprotocol import types as lsp

from engine.lsp.definition import places_of
from engine.lsp.positions import Places
from engine.lsp.project import Analysis, Project
from engine.syntax import ast

__all__ = ["document_symbols", "workspace_symbols"]

_KINDS: dict[type, tuple[str, lsp.SymbolKind]] = {
    ast.SchemaDecl: ("schema", lsp.SymbolKind.Struct),
    ast.ModelDecl: ("model", lsp.SymbolKind.Object),
    ast.ServerDecl: ("server", lsp.SymbolKind.Interface),
    ast.TemplateDecl: ("template", lsp.SymbolKind.String),
    ast.WorkerDecl: ("worker", lsp.SymbolKind.Function),
    ast.VerifierDecl: ("verifier", lsp.SymbolKind.Function),
    ast.OrchestratorDecl: ("orchestrator", lsp.SymbolKind.Class),
    ast.ParamDecl: ("param", lsp.SymbolKind.Variable),
    ast.SecretDecl: ("secret", lsp.SymbolKind.Constant),
    ast.TestDecl: ("test", lsp.SymbolKind.Event),
    ast.Import: ("import", lsp.SymbolKind.Module),
}


def document_symbols(analysis: Analysis) -> list[lsp.DocumentSymbol]:
    """The declarations of a document, with their fields, inputs and blocks."""
    places = analysis.places(analysis.module.source)
    found = []
    for node in analysis.document.declarations:
        known = _KINDS.get(type(node))
        if known is None:
            continue
        word, kind = known
        name, label = _named(node)
        found.append(
            lsp.DocumentSymbol(
                name=label or word,
                kind=kind,
                range=places.span(node.span),
                selection_range=places.span(name.span),
                detail=word,
                children=list(_inside(node, places)),
            )
        )
    return found


def _named(node: ast.Declaration) -> tuple[ast.Node, str]:
    if isinstance(node, ast.TestDecl):
        return node.title, node.title.value
    if isinstance(node, ast.Import):
        return node.alias, node.alias.text
    name = getattr(node, "name", None)
    return (name, name.text) if isinstance(name, ast.Name) else (node, "")


def _inside(node: ast.Declaration, places: Places) -> list[lsp.DocumentSymbol]:
    fields: tuple[ast.FieldDecl, ...] = getattr(node, "params", ())
    kind = lsp.SymbolKind.Variable
    if isinstance(node, ast.SchemaDecl) and isinstance(node.definition, ast.RecordBody):
        fields, kind = node.definition.fields, lsp.SymbolKind.Field
    found = [
        lsp.DocumentSymbol(
            name=field.name.text,
            kind=kind,
            range=places.span(field.span),
            selection_range=places.span(field.name.span),
            detail=" ".join(field.type.span.text.split()),
        )
        for field in fields
    ]
    body = getattr(node, "body", None)
    return found + (_blocks(body, places) if isinstance(body, ast.Body) else [])


def _blocks(body: ast.Body, places: Places) -> list[lsp.DocumentSymbol]:
    return [
        lsp.DocumentSymbol(
            name=" ".join((member.name.text, *(label.text for label in member.labels))),
            kind=lsp.SymbolKind.Namespace,
            range=places.span(member.span),
            selection_range=places.span(member.name.span),
            children=_blocks(member.body, places),
        )
        for member in body.members
        if isinstance(member, ast.Block)
    ]


def workspace_symbols(project: Project, query: str) -> list[lsp.WorkspaceSymbol]:
    """The declarations of the workspace whose names hold the letters of a query, in order."""
    found: list[lsp.WorkspaceSymbol] = []
    for path in project.files():
        analysis = project.analysis(path)
        places = places_of(project, path)
        if analysis is None or places is None:
            continue
        for node in analysis.document.declarations:
            known = _KINDS.get(type(node))
            if known is None or isinstance(node, ast.Import):
                continue
            name, label = _named(node)
            if _holds(label.casefold(), query.casefold()):
                at = lsp.Location(project.documents.uri(path), places.span(name.span))
                found.append(lsp.WorkspaceSymbol(at, label, known[1], container_name=known[0]))
    return found


def _holds(name: str, query: str) -> bool:
    letters = iter(name)
    return all(letter in letters for letter in query)
