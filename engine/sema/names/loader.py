"""Files: the entry file, what it imports, and the texts that belong to it.

Reading is behind the `Reader` protocol, so that an editor can check what is not saved and a run
can be compiled again from the texts its journal keeps. Every file is read once; `Files` keeps all
texts that were read, for `Program.files`.

The entry file must be readable (`UnreadableFile` otherwise, the one exception of this phase); an
import that is missing, unreadable or part of a cycle is a diagnostic at the import, and the rest
continues without it.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Protocol

from engine.diagnostics import Diagnostic, Edit, Fix, diagnostic
from engine.errors import UnreadableFile
from engine.project import VARIABLE, Project
from engine.reading import MAX_FILE_BYTES, CannotRead, read_regular
from engine.sema.names.cache import CheckCache
from engine.sema.suggest import closest
from engine.source import SourceFile, Span
from engine.syntax import ast
from engine.syntax.parser import parse

__all__ = [
    "MAX_FILE_BYTES",
    "MAX_IMPORT_DEPTH",
    "SYNTAX_FAULTS",
    "CannotRead",
    "DiskReader",
    "Files",
    "LoadResult",
    "MemoryReader",
    "Module",
    "OverlayReader",
    "Reader",
    "load_modules",
    "outside_project",
]

#: How the name of a workflow ends.
SUFFIX = ".orch"

#: How deep imports may nest; loading is recursive.
MAX_IMPORT_DEPTH = 100


class Reader(Protocol):
    """Where texts come from. Paths are absolute and normalised."""

    def project(self, folder: str) -> Project | None:
        """Where the files of a program in a folder may lie; None where nothing is on a disk."""
        ...

    def read(self, path: str) -> str:
        """The whole text of a file.

        Raises:
            CannotRead: With the reason.
        """
        ...

    def names(self, folder: str) -> list[str]:
        """The names of the files in a folder, for suggestions; [] where there is none."""
        ...


class DiskReader:
    """Reads UTF-8 files from the disk; a byte order mark at the beginning is dropped."""

    def project(self, folder: str) -> Project | None:
        """See `Reader.project`."""
        return Project.of(folder)

    def read(self, path: str) -> str:
        """See `Reader.read`."""
        data = read_regular(path)
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            line = data.count(b"\n", 0, error.start) + 1
            raise CannotRead(
                f"is not UTF-8 text (byte 0x{data[error.start]:02x} in line {line})",
                help="save it as UTF-8",
            ) from None

    def names(self, folder: str) -> list[str]:
        """See `Reader.names`."""
        try:
            return sorted(os.listdir(folder))
        except (OSError, ValueError):
            return []


class MemoryReader:
    """Reads from texts held in memory.

    Args:
        files: The texts, by path relative to `base`, with `/` as separator.
        base: The absolute folder the paths are relative to; it need not exist.
        with_python: Whether Python modules are looked up in that folder anyway.
    """

    def __init__(self, files: Mapping[str, str], base: str, *, with_python: bool = True) -> None:
        self.with_python = with_python
        self._files = {os.path.normpath(os.path.join(base, p)): t for p, t in files.items()}

    def project(self, folder: str) -> Project | None:
        """See `Reader.project`."""
        return None

    def read(self, path: str) -> str:
        """See `Reader.read`."""
        try:
            return self._files[path]
        except KeyError:
            raise CannotRead("does not exist") from None

    def names(self, folder: str) -> list[str]:
        """See `Reader.names`."""
        return sorted(os.path.basename(p) for p in self._files if os.path.dirname(p) == folder)


class OverlayReader:
    """Another reader, with the text of one file replaced (an editor's unsaved buffer)."""

    def __init__(self, below: Reader, path: str, text: str) -> None:
        self._below = below
        self._path = os.path.abspath(path)
        self._text = text

    def project(self, folder: str) -> Project | None:
        """See `Reader.project`."""
        return self._below.project(folder)

    def read(self, path: str) -> str:
        """See `Reader.read`."""
        return self._text if path == self._path else self._below.read(path)

    def names(self, folder: str) -> list[str]:
        """See `Reader.names`."""
        return self._below.names(folder)


class Files:
    """Reads each file once and remembers what was read; nothing outside the program's project.

    Attributes:
        project: Where its files may lie; None where nothing is on a disk.
        with_python: Whether Python modules are looked at.

    Args:
        reader: Where the texts come from.
        base_dir: The absolute folder of the entry file.
        shown_dir: The same folder as the user named it, for paths in messages.
    """

    def __init__(self, reader: Reader, base_dir: str, shown_dir: str) -> None:
        self.reader = reader
        self.base_dir = base_dir
        self.project = reader.project(base_dir)
        self.with_python = not isinstance(reader, MemoryReader) or reader.with_python
        self._shown_dir = shown_dir
        self._texts: dict[str, str | CannotRead] = {}
        self._sources: dict[str, SourceFile] = {}

    def read(self, path: str) -> str:
        """The text of an absolute, normalised path; raises `CannotRead`."""
        if path not in self._texts:
            try:
                self._check_place(path)
                self._texts[path] = self.reader.read(path)
            except CannotRead as error:
                self._texts[path] = error
        found = self._texts[path]
        if isinstance(found, CannotRead):
            raise found
        return found

    def _check_place(self, path: str) -> None:
        """Refuse what lies outside the project, be it there or not."""
        if self.project is not None and not self.project.holds(path):
            raise CannotRead(
                f"is not part of the project {self.project.root}",
                help=f"copy it into the project, or name a folder that holds both in {VARIABLE}",
                outside=True,
            )

    def entry(self, path: str) -> str:
        """The text of the entry file, as the user named it.

        Raises:
            UnreadableFile: It gives none.
        """
        try:
            return self.read(os.path.abspath(path))
        except CannotRead as error:
            help = error.help
            if error.outside:
                help = f"name the file that the link leads to: {os.path.realpath(path)}"
            raise UnreadableFile(path, error.reason, help=help) from None

    def source(self, path: str) -> SourceFile:
        """The text with its path as a person should read it; raises `CannotRead`."""
        if path not in self._sources:
            self._sources[path] = SourceFile(self.shown(path), self.read(path))
        return self._sources[path]

    def shown(self, path: str) -> str:
        """An absolute path as the user would have named it."""
        return os.path.normpath(os.path.join(self._shown_dir, self.relative(path)))

    def relative(self, path: str) -> str:
        """The path relative to the entry file's folder, with `/`: the key in `Program.files`."""
        return os.path.relpath(path, self.base_dir).replace(os.sep, "/")

    def texts(self) -> dict[str, str]:
        """All texts read so far, by relative path."""
        return {
            self.relative(path): text
            for path, text in sorted(self._texts.items())
            if isinstance(text, str)
        }


#: What the parser reports where it could not read the text as it is.
SYNTAX_FAULTS = frozenset({"ORC001", "ORC002", "ORC003", "ORC004", "ORC005"})


@dataclass(eq=False)
class Module:
    """One `.orch` file that was read.

    Attributes:
        path: Absolute and normalised; its identity.
        base_dir: Its folder; what it names is relative to it.
        syntax_errors: Whether the parser reported an error, so that declarations may be missing.
        faults: Where it did; what is on those lines may have been read wrongly.
        imports: The module each import declaration leads to; None where it cannot be read.
    """

    path: str
    base_dir: str
    source: SourceFile
    document: ast.Document
    syntax_errors: bool
    faults: tuple[Span, ...] = ()
    is_entry: bool = False
    imports: dict[ast.Import | ast.FromImport, Module | None] = field(default_factory=dict)

    def has_fault(self, offset: int) -> bool:
        """Whether the parser reported an error in the declaration at an offset."""
        return bisect_right(self._starts, offset) in self._faulty

    @cached_property
    def _starts(self) -> list[int]:
        return sorted(node.span.start for node in self.document.declarations)

    @cached_property
    def _faulty(self) -> frozenset[int]:
        # What was kept of a declaration may end before its fault: it reaches to the next one.
        return frozenset(bisect_right(self._starts, fault.start) for fault in self.faults)

    @cached_property
    def fault_lines(self) -> frozenset[int]:
        """The numbers of the lines on which a syntax error was reported."""
        return frozenset(
            number
            for fault in self.faults
            for number in (fault.begin_position.line, fault.end_position.line)
        )


@dataclass(eq=False)
class LoadResult:
    """The entry module, all modules (imported ones first), the files, what was found."""

    entry: Module
    modules: list[Module]
    files: Files
    diagnostics: list[Diagnostic]


def load_modules(
    path: str, reader: Reader | None = None, cache: CheckCache | None = None
) -> LoadResult:
    """Read and parse a file and everything it imports.

    Args:
        path: The entry file, as the user named it.
        reader: Where files come from; the disk by default.
        cache: The trees of an earlier check.

    Raises:
        UnreadableFile: If the entry file itself gives no text.
    """
    reader = reader or DiskReader()
    if cache is not None:
        cache.begin()
    absolute = os.path.abspath(path)
    files = Files(reader, os.path.dirname(absolute), os.path.dirname(path))
    text = files.entry(path)
    diagnostics: list[Diagnostic] = []
    loaded: dict[str, Module] = {}
    order: list[Module] = []
    open_files: list[str] = []

    def visit(file: str, source: SourceFile) -> Module:
        document, found = parse(source) if cache is None else cache.parse(file, source)
        diagnostics.extend(found)
        module = Module(
            path=file,
            base_dir=os.path.dirname(file),
            source=document.source,
            document=document,
            syntax_errors=any(d.severity == "error" for d in found),
            faults=tuple(d.span for d in found if d.code in SYNTAX_FAULTS),
        )
        loaded[file] = module
        open_files.append(file)
        for declaration in document.declarations:
            if isinstance(declaration, (ast.Import, ast.FromImport)):
                module.imports[declaration] = _import(
                    module, declaration.path, files, loaded, open_files, diagnostics, visit
                )
        open_files.pop()
        order.append(module)
        return module

    entry = visit(absolute, SourceFile(path, text))
    entry.is_entry = True
    return LoadResult(entry, order, files, diagnostics)


def _import(
    module: Module,
    named: ast.String,
    files: Files,
    loaded: Mapping[str, Module],
    open_files: list[str],
    diagnostics: list[Diagnostic],
    visit: Callable[[str, SourceFile], Module],
) -> Module | None:
    target = os.path.normpath(os.path.join(module.base_dir, named.value))
    if target in open_files:
        chain = [*open_files[open_files.index(target) :], target]
        shown = " -> ".join(os.path.basename(file) for file in chain)
        diagnostics.append(
            diagnostic(
                "ORC107",
                f"these files import each other: {shown}",
                named.span,
                help="move what both need into a third file",
            )
        )
        return None
    if target in loaded:
        return loaded[target]
    if len(open_files) >= MAX_IMPORT_DEPTH:
        diagnostics.append(
            diagnostic(
                "ORC106",
                f"cannot import `{named.value}`: imports are nested more than "
                f"{MAX_IMPORT_DEPTH} deep",
                named.span,
            )
        )
        return None
    try:
        source = files.source(target)
    except CannotRead as error:
        diagnostics.append(_unreadable_import(named, target, error, files))
        return None
    if not target.endswith(SUFFIX):
        # Findings quote what is parsed, and other files that lie about are not meant to be.
        message = f"cannot import `{named.value}`: the name of a workflow ends with `{SUFFIX}`"
        diagnostics.append(diagnostic("ORC106", message, named.span))
        return None
    return visit(target, source)


def outside_project(name: str, span: Span, error: CannotRead) -> Diagnostic:
    """ORC110: what a file names lies outside its project, and is not read."""
    return diagnostic("ORC110", f"`{name}` {error.reason}", span, help=error.help)


def _unreadable_import(
    named: ast.String, target: str, error: CannotRead, files: Files
) -> Diagnostic:
    if error.outside:
        return outside_project(named.value, named.span, error)
    if error.reason != "does not exist":
        return diagnostic(
            "ORC106",
            f"cannot import `{named.value}`: it {error.reason}",
            named.span,
            help=error.help,
        )
    folder, missing = os.path.split(target)
    names = [name for name in files.reader.names(folder) if name.endswith(SUFFIX)]
    near = closest(missing, names)
    fix = None
    help = f"looked for {target}"
    if near is not None:
        better = named.value[: len(named.value) - len(os.path.basename(named.value))] + near
        help = f"did you mean `{better}`? ({help})"
        fix = Fix(f"import `{better}`", (Edit(named.span, f'"{better}"'),))
    return diagnostic("ORC106", f"cannot find `{named.value}`", named.span, help=help, fix=fix)
