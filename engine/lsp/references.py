"""Find references, and highlight those in one document."""

from __future__ import annotations

from lsprotocol import types as lsp

from engine.lsp.definition import places_of
from engine.lsp.project import Analysis, Project
from engine.source import SourceFile

__all__ = ["highlights", "references"]


def references(
    project: Project, analysis: Analysis, source: SourceFile, offset: int, declaration: bool
) -> list[lsp.Location]:
    """Every place in the workspace that names what is here.

    Args:
        declaration: Whether the place that declares it counts.
    """
    use = analysis.index.use_at(source.path, offset)
    if use is None:
        return []
    found: list[lsp.Location] = []
    target = analysis.index.real(use.target)
    for path, uses in project.uses_of(target).items():
        places = places_of(project, path)
        if places is None:
            continue
        found += [
            lsp.Location(project.documents.uri(path), places.range(item.start, item.end))
            for item in uses
            if declaration or not item.declares
        ]
    return found


def highlights(analysis: Analysis, source: SourceFile, offset: int) -> list[lsp.DocumentHighlight]:
    """The same name elsewhere in the document."""
    use = analysis.index.use_at(source.path, offset)
    if use is None:
        return []
    places = analysis.places(source)
    kinds = {True: lsp.DocumentHighlightKind.Write, False: lsp.DocumentHighlightKind.Read}
    return [
        lsp.DocumentHighlight(places.range(item.start, item.end), kinds[item.declares])
        for item in analysis.index.uses(source.path)
        if item.target == use.target
    ]
