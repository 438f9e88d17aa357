"""What is known of the programs an editor looks at: each checked on request, and kept.

An `Analysis` is one file checked as the entry of a program, with everything it read. It is right
as long as what it read is what it was (open documents by version, others by time and size), which
is looked up whenever it is asked for: nothing has to be told to forget. Files that a check looks
at without the reader (Python modules, the configuration) are covered by `Project.forget`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from engine.bounds import Bound, bounds_of
from engine.config import find_config
from engine.diagnostics import Diagnostic
from engine.errors import ConfigError, InputError, UnreadableFile
from engine.linter.rules import lint_result
from engine.linter.selection import Selection, selection_of
from engine.lsp.documents import Documents
from engine.lsp.names import Index, Recorder, Target, Use
from engine.lsp.positions import Places
from engine.project import Project as Boundary
from engine.sema.check import CheckResult, check_file
from engine.sema.names.cache import CheckCache
from engine.sema.names.loader import CannotRead, Module
from engine.sema.names.scope import Scope
from engine.source import SourceFile, Span
from engine.syntax import ast

__all__ = ["Analysis", "Project"]

#: Folders that hold no workflows of the project's own.
_SKIPPED = frozenset({"node_modules", "__pycache__", "venv", "site-packages", "build", "dist"})

#: A workspace with more workflows is searched in part only.
_MAX_FILES = 2_000

#: Analyses of files that are not open are kept up to this number, the latest used ones.
_MAX_KEPT = 50

_Stamp = tuple[int, int] | None


class _Reading:
    """Documents, and which of them were asked for."""

    def __init__(self, documents: Documents) -> None:
        self._documents = documents
        self.paths: set[str] = set()

    def project(self, folder: str) -> Boundary | None:
        return self._documents.project(folder)

    def read(self, path: str) -> str:
        self.paths.add(path)
        return self._documents.read(path)

    def names(self, folder: str) -> list[str]:
        return self._documents.names(folder)


@dataclass(eq=False)
class Analysis:
    """One file, checked as the entry of a program.

    Attributes:
        path: The file, absolute.
        diagnostics: What was found, in all files; what the configuration hides is left out.
        files: Every file that was read, or was not found.
    """

    path: str
    result: CheckResult
    diagnostics: list[Diagnostic]
    files: dict[str, _Stamp]
    _recorder: Recorder
    _documents: Documents
    _places: dict[SourceFile, Places] = field(default_factory=dict)

    @property
    def entry(self) -> Scope:
        """The scope of the file itself."""
        return self.result.scopes.entry

    @property
    def module(self) -> Module:
        """The file itself."""
        return self.entry.module

    @property
    def document(self) -> ast.Document:
        """Its tree."""
        return self.module.document

    @cached_property
    def index(self) -> Index:
        """Its names."""
        return Index(self.result, self._recorder)

    @cached_property
    def bounds(self) -> dict[str, Bound]:
        """The worst case of each orchestrator; empty where the program has errors."""
        program = self.result.program
        return {} if program is None else {b.orchestrator: b for b in bounds_of(program)}

    def places(self, source: SourceFile) -> Places:
        """The positions in a file of the program."""
        if source not in self._places:
            document = self._documents.at(source.path)
            known = document is not None and document.text == source.text
            self._places[source] = (
                document.places
                if known and document is not None
                else Places(source.text, self._documents.encoding)
            )
        return self._places[source]

    def scope_of(self, path: str) -> Scope | None:
        """The names of one of its modules."""
        return self.result.scopes.of.get(path)

    def here(self, span: Span) -> bool:
        """Whether a place is in the file itself."""
        return span.source is self.module.source


class Project:
    """The documents and folders of one editor.

    Attributes:
        folders: The folders of the workspace, absolute.
        snippets: Whether the editor takes completions with places to fill in.
        notes: Things to tell the person at the next occasion, each once.
    """

    def __init__(self) -> None:
        self.documents = Documents()
        self.folders: list[str] = []
        self.snippets = False
        self.notes: list[str] = []
        self._noted: set[str] = set()
        self._caches: dict[str, CheckCache] = {}
        self._analyses: dict[str, Analysis] = {}
        self._selections: dict[str, Selection] = {}
        self._files: list[str] | None = None

    # ------------------------------------------------------------ analyses

    def analysis(self, path: str) -> Analysis | None:
        """The analysis of a file as it is now, or None if it gives no text."""
        known = self._analyses.pop(path, None)
        if known is not None and all(
            self._stamp(file) == stamp for file, stamp in known.files.items()
        ):
            self._analyses[path] = known
            return known
        try:
            made = self._check(path)
        except UnreadableFile:
            return None
        self._analyses[path] = made
        for other in list(self._analyses)[: len(self._analyses) - _MAX_KEPT]:
            if self.documents.at(other) is None:
                del self._analyses[other]
        return made

    def program_of(self, path: str) -> Analysis | None:
        """The analysis that says most about a file: its own, or one of a program that reads it."""
        if path.endswith(".orch"):
            return self.analysis(path)
        for known in list(self._analyses.values()):
            if path in known.files:
                return self.analysis(known.path)
        name = os.path.basename(path)
        for file in self.files():
            if name in self._text(file):
                found = self.analysis(file)
                if found is not None and path in found.files:
                    return found
        return None

    def _check(self, path: str) -> Analysis:
        recorder, reader = Recorder(), _Reading(self.documents)
        cache = self.cache(path)
        try:
            result = check_file(path, reader=reader, cache=cache, observer=recorder)
        except InputError as problem:
            # A variable `ORCH_PARAM_x` that does not fit is not a fault of the file.
            self.note("; ".join(problem.problems))
            recorder = Recorder()
            result = check_file(path, reader=reader, cache=cache, observer=recorder, env={})
        selection = self._selection(path)
        diagnostics = [item for item in lint_result(result) if selection.keeps(item)]
        stamps = {file: self._stamp(file) for file in reader.paths}
        return Analysis(path, result, diagnostics, stamps, recorder, self.documents)

    def cache(self, path: str) -> CheckCache | None:
        """What earlier checks of a program have left; None if it does not change all the time."""
        if self.documents.at(path) is None:
            return None
        return self._caches.setdefault(path, CheckCache())

    def _stamp(self, path: str) -> _Stamp:
        document = self.documents.at(path)
        if document is not None:
            return (-1, document.serial)
        try:
            status = os.stat(path)
        except (OSError, ValueError):
            return None
        return (status.st_mtime_ns, status.st_size)

    def _selection(self, path: str) -> Selection:
        folder = os.path.dirname(path)
        if folder not in self._selections:
            try:
                self._selections[folder] = selection_of(find_config(folder))
            except ConfigError as problem:
                self.note(str(problem))
                self._selections[folder] = Selection()
        return self._selections[folder]

    def note(self, text: str) -> None:
        """Tell the person something, if that was not told before."""
        if text not in self._noted:
            self._noted.add(text)
            self.notes.append(text)

    def forget(self) -> None:
        """Something on disk has changed that checks may have looked at."""
        self._analyses.clear()
        self._selections.clear()
        self._files = None

    def close(self, path: str) -> None:
        """A document is not looked at any more."""
        self._analyses.pop(path, None)
        self._caches.pop(path, None)

    # ------------------------------------------------------------ the workspace

    def files(self) -> list[str]:
        """The workflows of the workspace and those that are open, in order."""
        if self._files is None:
            folders = self.folders or sorted(
                {os.path.dirname(d.path) for d in self.documents.all() if os.path.isfile(d.path)}
            )
            self._files = sorted({file for folder in folders for file in _workflows(folder)})
        opened = [d.path for d in self.documents.all() if d.is_orch]
        return sorted({*self._files, *opened})

    def readers_of(self, path: str) -> Iterator[Analysis]:
        """The analyses of all workflows that read a file, its own first."""
        own = self.analysis(path) if path.endswith(".orch") else None
        if own is not None:
            yield own
        for file in self.files():
            if file == path or "import" not in self._text(file):
                continue
            found = self.analysis(file)
            if found is not None and path in found.files:
                yield found

    def uses_of(self, target: Target) -> dict[str, list[Use]]:
        """Every use of a target in the workspace, by file."""
        found: dict[str, dict[tuple[int, int], Use]] = {}
        for analysis in self.readers_of(target.path):
            for path, use in analysis.index.uses_of(target):
                found.setdefault(path, {})[(use.start, use.end)] = use
        return {path: [uses[key] for key in sorted(uses)] for path, uses in sorted(found.items())}

    def may_read(self, path: str, base_dir: str) -> bool:
        """Whether a file, or folder, is in the project of a program in a folder."""
        boundary = self.documents.project(base_dir)
        return boundary is None or boundary.holds(path)

    def _text(self, path: str) -> str:
        if not self.may_read(path, os.path.dirname(path)):
            return ""
        try:
            return self.documents.read(path)
        except CannotRead:
            return ""


def _workflows(folder: str) -> Iterator[str]:
    """The `.orch` files below a folder."""
    count = 0
    for base, folders, names in os.walk(folder):
        folders[:] = sorted(n for n in folders if not n.startswith(".") and n not in _SKIPPED)
        for name in sorted(names):
            if name.endswith(".orch"):
                yield os.path.normpath(os.path.join(base, name))
                count += 1
                if count >= _MAX_FILES:
                    return
