"""Strings that lead to other files: imports, prompts, JSON Schemas, Python functions."""

from __future__ import annotations

import os
import re

import msgspec

from engine.lsp.bodies import member_at
from engine.lsp.jsontext import offset_of_pointer
from engine.lsp.project import Analysis, Project
from engine.lsp.tree import path_to
from engine.sema.declarations.prompts import file_argument
from engine.sema.kinds.python_calls import locate
from engine.sema.names.loader import CannotRead
from engine.sema.settings.values import CallPath, Parse, Str
from engine.source import SourceFile
from engine.syntax import ast

__all__ = ["Link", "link_at"]

#: `{% include "x.j2" %}` and its like, in any template.
_INCLUDE = re.compile(r"""\{%-?\s*(?:include|import|extends|from)\s+(["'])([^"'\n]+)\1""")

#: Ids of models that name a file or folder.
_FILE_SCHEMES = ("scripted/", "recorded/", "local/")


class Link(msgspec.Struct, frozen=True):
    """Where a string leads.

    Attributes:
        start: Of the string, in the file it is in.
        path: The other file, absolute.
        offset: Where in it.
        line: The line in it, from 1, where that is known instead.
    """

    start: int
    end: int
    path: str
    offset: int = 0
    line: int | None = None


def link_at(project: Project, analysis: Analysis, source: SourceFile, offset: int) -> Link | None:
    """The link at a place in a file of a program, if what it leads to is there."""
    base_dir = analysis.module.base_dir
    for found in _INCLUDE.finditer(source.text):
        if found.start(2) - 1 <= offset <= found.end(2) + 1:
            return _file(project, found.start(2), found.end(2), base_dir, found[2])
    if source is not analysis.module.source:
        return None
    path = path_to(analysis.document, offset)
    if not path or not isinstance(path[-1], ast.String):
        return None
    string = path[-1]
    start, end = string.span.start, string.span.end
    if isinstance(path[0], ast.Import | ast.FromImport):
        return _file(project, start, end, base_dir, string.value)
    if any(isinstance(node, ast.ExternalSchema) for node in path):
        return _schema(project, string, base_dir)
    if any(isinstance(n, ast.Call) and file_argument(n) is string for n in path):
        return _file(project, start, end, base_dir, string.value)
    member = member_at(path)
    if member is None:
        return None
    _, row, _ = member
    if isinstance(row.value, CallPath | Parse):
        return _python(project, start, end, string.value, base_dir)
    if isinstance(row.value, Str) and row.name == "id":
        if string.value.startswith("python/"):
            call = string.value.removeprefix("python/")
            return _python(project, start, end, call, base_dir)
        for scheme in _FILE_SCHEMES:
            if string.value.startswith(scheme):
                return _file(project, start, end, base_dir, string.value.removeprefix(scheme))
    return None


def _file(project: Project, start: int, end: int, base_dir: str, name: str) -> Link | None:
    path = os.path.normpath(os.path.join(base_dir, name))
    if not project.may_read(path, base_dir):
        return None
    if project.documents.at(path) is None and not os.path.exists(path):
        return None
    return Link(start, end, path)


def _schema(project: Project, string: ast.String, base_dir: str) -> Link | None:
    name, _, pointer = string.value.partition("#")
    path = os.path.normpath(os.path.join(base_dir, name))
    if not project.may_read(path, base_dir):
        return None
    try:
        text = project.documents.read(path)
    except CannotRead:
        return None
    return Link(string.span.start, string.span.end, path, offset_of_pointer(text, pointer) or 0)


def _python(project: Project, start: int, end: int, call: str, base_dir: str) -> Link | None:
    found = locate(call, base_dir, project.documents.project(base_dir))
    return None if found is None else Link(start, end, found[0], 0, found[1])
