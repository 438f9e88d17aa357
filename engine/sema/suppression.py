"""`// orch: allow[ORC302] reason`: findings the author has decided to live with.

A suppression names rules by code or by name, and stands at the end of the line it is about, or
alone on the line above. It covers
warnings, infos, and those errors that leave a program sound (`ALLOWABLE`): a program whose names
or types do not resolve cannot be run, whatever its author allows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import cached_property

from engine.diagnostics import RULES, Diagnostic
from engine.sema.loader import Module
from engine.source import SourceFile, Span

__all__ = ["ALLOWABLE", "Suppression", "Suppressions"]

#: Errors that may be allowed: what they find may still be right when the program runs.
ALLOWABLE = frozenset(
    {
        "ORC302",
        "ORC303",
        "ORC304",
        "ORC306",
        "ORC311",
        "ORC502",
        "ORC503",
        "ORC505",
        "ORC506",
        "ORC507",
        "ORC511",
        "ORC512",
        "ORC513",
        "ORC801",
        "ORC804",
        "ORC806",
    }
)

_PATTERN = re.compile(r"//+\s*orch:\s*allow\[([^\]]*)\](.*)", re.S)

_CODES = {rule.name: code for code, rule in RULES.items()}


@dataclass(eq=False)
class Suppression:
    """One comment.

    Attributes:
        span: The comment.
        words: What stands between the brackets: codes and names of rules.
        word_spans: Where they stand, relative to the comment.
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
        """The rules that `words` stand for; None for what is no rule."""
        return tuple(word if word in RULES else _CODES.get(word) for word in self.words)


class Suppressions:
    """The suppressions of some modules."""

    def __init__(self, modules: list[Module]) -> None:
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
        position = item.span.begin_position
        allowed = False
        for suppression in self._by_line.get((item.span.source.path, position.line), ()):
            if item.code in suppression.codes:
                if item.severity != "error" or item.code in ALLOWABLE:
                    suppression.used.add(item.code)
                    allowed = True
                else:
                    suppression.refused.add(item.code)
        return allowed


def _line_below(source: SourceFile, line: int, below: dict[int, int]) -> int:
    """The first line below a comment that is none: several may stand above one line.

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
