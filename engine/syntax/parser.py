"""`parse`: the text of one file to its `Document` and what is wrong with its syntax.

The fast path is one parse of the whole file. A file with an error goes through
`engine.syntax.recovery`, which reads declaration by declaration. Either way there is always a
`Document`, and nothing ever raises because of the text.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator

import msgspec

from engine.diagnostics import Diagnostic, Edit, Fix, diagnostic, sort_diagnostics
from engine.source import SourceFile, Span
from engine.syntax import ast
from engine.syntax.builder import Builder
from engine.syntax.comments import scan_comments
from engine.syntax.recovery import declaration_starts, recover
from engine.syntax.reuse import ParseCache
from grammar import Tree
from grammar import parse as parse_text

__all__ = ["EDITION", "MAX_CHARACTERS", "no_collections", "parse", "parse_tree"]

#: The newest edition of the language that this engine reads.
EDITION = 1

#: The longest file that is read, in characters; the largest hand-written ones have some 10,000.
MAX_CHARACTERS = 4 * 1024 * 1024


def parse(
    source: SourceFile, cache: ParseCache | None = None
) -> tuple[ast.Document, list[Diagnostic]]:
    """Parse one file.

    Args:
        source: The file.
        cache: What earlier versions of this file left; with it only what has changed is parsed,
            and the result is the same.

    Returns:
        The document, without the declarations that could not be read, and the diagnostics in
        order of position. An empty list means the document is complete.
    """
    document, found, _ = _parse(source, cache)
    return document, [_visible(item) for item in found]


def parse_tree(source: SourceFile) -> tuple[ast.Document, list[Diagnostic], Tree | None]:
    """What `parse` gives, and the parse tree of the whole file; None if there is no such tree."""
    document, found, trees = _parse(source, None)
    return document, [_visible(item) for item in found], trees[0][0] if trees else None


def _visible(item: Diagnostic) -> Diagnostic:
    """A finding about what is missing at the end of a file is at its last character."""
    size = len(item.span.source.text)
    if item.span.start < size or not size:
        return item
    return msgspec.structs.replace(item, span=Span(item.span.source, size - 1, size))


@contextlib.contextmanager
def no_collections() -> Iterator[None]:
    """Collect no garbage: trees hold no cycles, and a big file takes a fifth less time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


_Trees = list[tuple[Tree, int]] | None


def _parse(
    source: SourceFile, cache: ParseCache | None
) -> tuple[ast.Document, list[Diagnostic], _Trees]:
    if len(source.text) > MAX_CHARACTERS:
        message = (
            f"this file has {len(source.text):,} characters; at most {MAX_CHARACTERS:,} are read"
        )
        found = [diagnostic("ORC001", message, Span(source, 0, 1), help="split it with `import`")]
        return ast.Document(source, (), ()), found, None
    with no_collections():
        return _read(source, cache)


def _read(
    source: SourceFile, cache: ParseCache | None
) -> tuple[ast.Document, list[Diagnostic], _Trees]:
    comments = scan_comments(source)
    found: list[Diagnostic] = []
    lost: list[ast.Name] = []
    trees = _trees(source.text, cache)
    if trees is None:
        declarations, lost = recover(source, comments.docs, found, cache)
    else:
        declarations = []
        builder = Builder(source, comments.docs, found)
        for tree, base in trees:
            builder.base = base
            declarations += builder.declarations(tree)
    found = _check_edition(source, declarations, found)
    document = ast.Document(source, tuple(declarations), comments.free(), tuple(lost))
    return document, sort_diagnostics(found), trees


def _trees(text: str, cache: ParseCache | None) -> _Trees:
    """The trees of a text with the offsets at which they begin, or None if it does not parse."""
    if cache is not None:
        cache.begin()
        return cache.trees(text, declaration_starts(text))
    tree = parse_text(text)
    return None if tree is None else [(tree, 0)]


def _check_edition(
    source: SourceFile, declarations: list[ast.Declaration], found: list[Diagnostic]
) -> list[Diagnostic]:
    """The diagnostics with those about `orch 1` added."""
    editions = [item for item in declarations if isinstance(item, ast.Edition)]
    for item in editions:
        if item.number > EDITION:
            message = f"this file needs orch {item.number}; this engine reads orch {EDITION}"
            # Whatever else looks wrong may be right in the newer edition.
            return [diagnostic("ORC008", message, item.span, help="update the engine")]
    if not editions:
        if any(item.span.start == 0 and item.code != "ORC907" for item in found) and (
            source.text.lstrip("\ufeff \t\r\n").startswith("orch")
        ):
            return found  # the first line is there, broken, and was reported
        at = 1 if source.text.startswith("\ufeff") else 0
        fix = Fix("add `orch 1`", (Edit(Span(source, at, at), "orch 1\n\n"),))
        missing = diagnostic(
            "ORC007",
            "the first line has to say `orch 1`, the edition of the language",
            Span(source, at, max(len(source.line(1)), min(at + 1, len(source.text)))),
            help="add `orch 1` as the first line",
            fix=fix,
        )
        return [*found, missing]
    for item in editions:
        if item.number < 1:
            found.append(diagnostic("ORC001", f"there is no edition {item.number}", item.span))
    if declarations[0] is not editions[0]:
        found.append(
            diagnostic("ORC001", "`orch 1` has to be the first declaration", editions[0].span)
        )
    for item in editions[1:]:
        found.append(diagnostic("ORC001", "the edition is given twice", item.span))
    return found
