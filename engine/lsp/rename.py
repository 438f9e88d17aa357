"""Rename, in every file of the workspace that reads the one that declares the name.

What a rename would break is known only by trying: the edits are made in memory, and every
program they reach is checked again. If one has a new error, nothing is renamed and the error is the
answer. So a field that a Python function returns by name, or a mock, cannot be renamed by half.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from lsprotocol import types as lsp

from engine.diagnostics import Edit
from engine.linter.fixing import splice
from engine.linter.fixpoint import EditedReader
from engine.lsp.definition import places_of
from engine.lsp.names import Index, Recorder, Target, Use
from engine.lsp.project import Analysis, Project
from engine.sema.check import CheckResult, check_file
from engine.sema.kinds import usable
from engine.source import SourceFile, Span
from engine.syntax import ast

__all__ = ["CannotRename", "prepare", "rename"]

_NAME = re.compile(r"[^\W\d]\w*")

#: Words that are not names wherever an expression may be.
_RESERVED = frozenset({"and", "or", "not", "in", "is", "if", "else", "true", "false", "null"})


class CannotRename(Exception):
    """Why something cannot be renamed, in a sentence."""


def prepare(analysis: Analysis, source: SourceFile, offset: int) -> Use:
    """The name at a place, if it can be renamed.

    Raises:
        CannotRename: If not.
    """
    use = analysis.index.use_at(source.path, offset)
    if use is None:
        raise CannotRename("there is no name here that is declared in a workflow")
    target = use.target
    if target.kind == "mode":
        raise CannotRename(
            f"`{target.name}` is a failure mode: whoever carries the work out says it too, in code"
        )
    if target.kind == "secret":
        raise CannotRename(f"`{target.name}` is the name of an environment variable")
    owner = analysis.index.owners.get(target)
    if target.kind == "input" and isinstance(owner, ast.VerifierDecl):
        raise CannotRename("hooks bind the inputs of a verifier by name")
    if target.kind == "input" and isinstance(owner, ast.WorkerDecl):
        kind = usable(owner.kind.text)
        by_name = kind is not None and kind.inputs_are_arguments
        if by_name and not any(
            isinstance(m, ast.Setting) and m.name.text == "args" for m in owner.body.members
        ):
            raise CannotRename("the Python function has a parameter of this name")
    return use


def rename(
    project: Project, analysis: Analysis, source: SourceFile, offset: int, name: str
) -> lsp.WorkspaceEdit:
    """The edits that give what is at a place another name.

    Raises:
        CannotRename: If it cannot be renamed, the name is none, or something would break.
    """
    target = prepare(analysis, source, offset).target
    if _NAME.fullmatch(name) is None:
        raise CannotRename(f"`{name}` is not a name: letters, digits and `_`, and no digit first")
    if name in _RESERVED:
        raise CannotRename(f"`{name}` is a word of the language")
    if name == target.name:
        return lsp.WorkspaceEdit(changes={})
    edits = {path: list(_edits(project, path, uses, name)) for path, uses in
             project.uses_of(target).items()}  # fmt: skip
    _try(project, target, name, edits)
    changes: list[lsp.TextDocumentEdit] = []
    for path, found in edits.items():
        places = places_of(project, path)
        if places is None:
            continue
        document = project.documents.at(path)
        version = None if document is None else document.version
        identifier = lsp.OptionalVersionedTextDocumentIdentifier(
            project.documents.uri(path), version
        )
        changes.append(
            lsp.TextDocumentEdit(
                identifier, [lsp.TextEdit(places.span(e.span), e.text) for e in found]
            )
        )
    return lsp.WorkspaceEdit(document_changes=changes)


def _edits(project: Project, path: str, uses: list[Use], name: str) -> Iterable[Edit]:
    source = SourceFile(path, project.documents.read(path))
    for use in uses:
        yield Edit(Span(source, use.start, use.end), name)


def _try(project: Project, target: Target, name: str, edits: Mapping[str, list[Edit]]) -> None:
    """Check every program that is reached, with the edits made."""
    texts = {
        path: splice(found[0].span.source.text, found) for path, found in edits.items() if found
    }
    reader = EditedReader(project.documents, texts)
    earlier = [edit for edit in edits.get(target.path, ()) if edit.span.start < target.start]
    start = target.start + len(earlier) * (len(name) - len(target.name))
    renamed = Target(target.kind, name, target.path, start)
    for analysis in project.readers_of(target.path):
        recorder = Recorder()
        after = check_file(analysis.path, reader=reader, observer=recorder)
        before = _errors(analysis.result, target.name, name)
        for key, item in _errors(after, target.name, name).items():
            if key not in before:
                raise CannotRename(f"`{name}` would break {item[1]}: {item[0]}")
        if _count(after) > _count(analysis.result):
            raise CannotRename(f"`{name}` would break {analysis.path}")
        uses = sum(1 for _ in analysis.index.uses_of(target))
        if sum(1 for _ in Index(after, recorder).uses_of(renamed)) != uses:
            # An input of that name hides a template, say: no error, but another meaning.
            raise CannotRename(f"`{name}` means something else in some of the places")


def _errors(result: CheckResult, old: str, new: str) -> dict[tuple[str, str], tuple[str, str]]:
    """Errors by what they are about, whichever of two names they use."""
    return {
        (item.code, re.sub(rf"\b{re.escape(old)}\b", new, item.message)): (
            item.message,
            item.location,
        )
        for item in result.diagnostics
        if item.severity == "error"
    }


def _count(result: CheckResult) -> int:
    return sum(item.severity == "error" for item in result.diagnostics)
