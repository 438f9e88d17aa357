"""`// orch: allow[ORC302] reason`: findings the author has decided to live with.

A suppression stands at the end of the line it is about, or alone on the line above. It covers
warnings, infos, and those errors that leave a program sound (`ALLOWABLE`): a program whose names
or types do not resolve cannot be run, whatever its author allows.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from engine.diagnostics import Diagnostic
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
        "ORC503",
        "ORC505",
        "ORC506",
        "ORC507",
        "ORC512",
        "ORC513",
        "ORC801",
    }
)

_PATTERN = re.compile(r"//+\s*orch:\s*allow\[([^\]]*)\]")


@dataclass(eq=False)
class Suppression:
    """One comment: the codes it allows, the line it is about, what it has been used for."""

    span: Span
    codes: tuple[str, ...]
    line: int
    used: set[str] = field(default_factory=set)


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
            codes = tuple(code.strip() for code in found[1].split(",") if code.strip())
            item = Suppression(span, codes, line)
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
                suppression.used.add(item.code)
                allowed = item.severity != "error" or item.code in ALLOWABLE
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
