"""What one check of a program leaves for the next: the trees of its files.

An editor checks the same few files after every key. A `CheckCache` that is handed to each
`check_file` keeps the tree of every file whose text is the same as before, and parses of one that
has changed only the declarations that have. Nothing else is kept from check to check, so there is
nothing that could go stale: names, types and findings are made again each time.

Invariant: a check with a cache finds what one without it finds.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.diagnostics import Diagnostic
from engine.source import SourceFile
from engine.syntax import ast
from engine.syntax.parser import parse
from engine.syntax.reuse import ParseCache

__all__ = ["CheckCache"]


@dataclass(eq=False)
class _Kept:
    """One file: the trees of its parts, and what its last text gave."""

    pieces: ParseCache = field(default_factory=ParseCache)
    document: ast.Document | None = None
    diagnostics: tuple[Diagnostic, ...] = ()


class CheckCache:
    """The parsed files of one program; not for two threads at once."""

    def __init__(self) -> None:
        self._files: dict[str, _Kept] = {}
        self._touched: set[str] = set()

    def begin(self) -> None:
        """Begin another check: forget the files that the last one did not read."""
        if self._touched:
            self._files = {path: self._files[path] for path in self._touched}
        self._touched = set()

    def parse(self, path: str, source: SourceFile) -> tuple[ast.Document, list[Diagnostic]]:
        """What `engine.syntax.parser.parse` gives for a file; a kept one has its own source.

        Args:
            path: Absolute; what the file is known by.
        """
        kept = self._files.setdefault(path, _Kept())
        self._touched.add(path)
        known = kept.document
        if known is None or known.source.text != source.text or known.source.path != source.path:
            kept.document, found = parse(source, kept.pieces)
            kept.diagnostics = tuple(found)
            known = kept.document
        return known, list(kept.diagnostics)
