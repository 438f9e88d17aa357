"""`// orch: allow[ORC302] reason`: findings the author has decided to live with.

A suppression names rules by code or by name, and is at the end of the line it is about, or
alone on the line above. What is found inside a text block is allowed where the block begins, and
what is found in a file that takes no such comments, where a module names that file. Which rules can
be allowed is in the catalogue: a program whose names or types do not resolve cannot be run,
whatever its author allows.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property

from engine.diagnostics import RULES, Diagnostic
from engine.sema.names.loader import Module
from engine.source import SourceFile, Span
from engine.syntax import ast
from engine.syntax.visitor import walk

__all__ = ["Suppression", "Suppressions"]

_PATTERN = re.compile(r"//+\s*orch:\s*allow\[([^\]]*)\](.*)", re.S)

#: A string in a line: what may name a file.
_STRING = re.compile(r'"([^"]+)"')

_CODES = {rule.name: code for code, rule in RULES.items()}


@dataclass(eq=False)
class Suppression:
    """One comment.

    Attributes:
        span: The comment.
        words: What is between the brackets: codes and names of rules.
        word_spans: Where they are, relative to the comment.
        reason: What it says behind the brackets.
        line: The line it is about.
        used: The codes it has allowed something of.
        refused: The codes of errors on its line that may not be allowed.
    """

    span: Span
    words: tuple[str, ...]
    word_spans: tuple[tuple[int, int], ...]
    reason: str
    line: int
    used: set[str] = field(default_factory=set)
    refused: set[str] = field(default_factory=set)

    @cached_property
    def codes(self) -> tuple[str | None, ...]:
        """The rules that `words` name; None for what is not a rule."""
        return tuple(word if word in RULES else _CODES.get(word) for word in self.words)


class Suppressions:
    """The suppressions of some modules."""

    def __init__(self, modules: list[Module]) -> None:
        self._modules = {module.source: module for module in modules}
        self.all: list[Suppression] = []
        self._by_line: dict[tuple[str, int], list[Suppression]] = {}
        for module in modules:
            if "orch:" in module.source.text:
                self._read(module)

    def _read(self, module: Module) -> None:
        source = module.source
        below: dict[int, int] = {}
        for span in module.document.comments:
            found = _PATTERN.match(span.text)
            if found is None:
                continue
            line = span.begin_position.line
            alone = not source.line(line)[: span.begin_position.column - 1].strip()
            if alone:
                line = _line_below(source, line, below)
            words = [
                (word[0], (found.start(1) + word.start(), found.start(1) + word.end()))
                for word in re.finditer(r"[^\s,](?:[^,]*[^\s,])?", found[1])
            ]
            item = Suppression(
                span,
                tuple(word for word, _ in words),
                tuple(place for _, place in words),
                found[2].strip(),
                line,
            )
            self.all.append(item)
            self._by_line.setdefault((source.path, line), []).append(item)

    def allows(self, item: Diagnostic) -> bool:
        """Whether a finding is allowed; notes that the suppression is of use."""
        if not self.all:
            return False
        allowed = False
        for place in self._places(item.span):
            for suppression in self._by_line.get(place, ()):
                if item.code in suppression.codes:
                    if RULES[item.code].allowable:
                        suppression.used.add(item.code)
                        allowed = True
                    else:
                        suppression.refused.add(item.code)
        return allowed

    def _places(self, span: Span) -> Iterator[tuple[str, int]]:
        """The file and line of a finding, and where a comment about it can be placed."""
        line = span.begin_position.line
        yield span.source.path, line
        module = self._modules.get(span.source)
        if module is None:
            yield from self._naming(span.source.path)
            return
        text = _text_around(module, span.start)
        if text is not None and text.begin_position.line < line:
            yield span.source.path, text.begin_position.line

    def _naming(self, path: str) -> Iterator[tuple[str, int]]:
        """The lines of modules on which a string names a file."""
        for module in self._modules.values():
            folder = os.path.dirname(module.source.path)
            for number in range(1, module.source.line_count + 1):
                for named in _STRING.finditer(module.source.line(number)):
                    name = named[1].partition("#")[0]
                    if os.path.normpath(os.path.join(folder, name)) == path:
                        yield module.source.path, number


def _text_around(module: Module, offset: int) -> Span | None:
    """The string of a module that an offset is in; None if it is in none."""

    def around(node: ast.Node) -> bool:
        return node.span.start <= offset < node.span.end

    for node in walk(module.document.declarations, into=around):
        if isinstance(node, ast.String) and around(node):
            return node.span
    return None


def _line_below(source: SourceFile, line: int, below: dict[int, int]) -> int:
    """The first line below a comment that is none: several may be above one line.

    `below` keeps what was found, so that a long stretch of comments is walked once.
    """
    passed: list[int] = []
    while line not in below:
        passed.append(line)
        under = line + 1
        if under > source.line_count or not source.line(under).lstrip().startswith("//"):
            below[line] = under
            break
        line = under
    found = below[line]
    below.update(dict.fromkeys(passed, found))
    return found
