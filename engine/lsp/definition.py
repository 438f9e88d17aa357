"""Go to definition: into this file, imports, templates, JSON Schemas and Python."""

from __future__ import annotations

from lsprotocol import types as lsp

from engine.lsp.links import link_at
from engine.lsp.names import Target
from engine.lsp.positions import Places
from engine.lsp.project import Analysis, Project
from engine.sema.names.loader import CannotRead
from engine.source import SourceFile

__all__ = ["definition", "location_of", "places_of"]


def definition(
    project: Project, analysis: Analysis, source: SourceFile, offset: int
) -> list[lsp.LocationLink]:
    """Where what is at a place is declared; [] if nothing is known."""
    use = analysis.index.use_at(source.path, offset)
    if use is not None:
        target = analysis.index.real(use.target)
        node = analysis.index.nodes.get(target)
        places = places_of(project, target.path)
        if places is None:
            return []
        name = places.range(target.start, target.end)
        whole = name if node is None else places.span(node.span)
        origin = analysis.places(source).range(use.start, use.end)
        return [lsp.LocationLink(project.documents.uri(target.path), whole, name, origin)]
    link = link_at(project, analysis, source, offset)
    if link is None:
        return []
    places = places_of(project, link.path)
    at = lsp.Position(0, 0)
    if link.line is not None:
        at = lsp.Position(link.line - 1, 0)
    elif places is not None:
        at = places.position(link.offset)
    there = lsp.Range(at, at)
    origin = analysis.places(source).range(link.start, link.end)
    return [lsp.LocationLink(project.documents.uri(link.path), there, there, origin)]


def location_of(project: Project, target: Target) -> lsp.Location | None:
    """Where a target's name is declared."""
    places = places_of(project, target.path)
    if places is None:
        return None
    return lsp.Location(project.documents.uri(target.path), places.range(target.start, target.end))


def places_of(project: Project, path: str) -> Places | None:
    """The positions of any file; None if it gives no text."""
    document = project.documents.at(path)
    if document is not None:
        return document.places
    try:
        return Places(project.documents.read(path), project.documents.encoding)
    except CannotRead:
        return None
