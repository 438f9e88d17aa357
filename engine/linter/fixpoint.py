"""Fixes over files, again and again until nothing is left to fix; `orch lint --fix`.

A change is kept only if checking every file that reads the changed one shows that it helped: the
finding is gone, and the number of errors has not grown. (What could not be read may hide errors;
so it is fixed first, and then others may come to light.) If something new is wrong after the
changes of a round, each of them is tried alone. Only files that were asked for are changed,
whatever else the findings are in. Nothing is written here.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from engine.diagnostics import Diagnostic
from engine.errors import InputError
from engine.linter.fixing import applicable, apply_fixes, splice
from engine.project import Project
from engine.sema.check import CheckResult
from engine.sema.names.loader import SYNTAX_FAULTS, Reader

__all__ = ["MAX_ROUNDS", "EditedReader", "Fixpoint", "Linted"]

#: After so many changes of one file its fixes are undoing each other.
MAX_ROUNDS = 20

#: What hides other errors while it is there.
_HIDING = SYNTAX_FAULTS | {"ORC006", "ORC008", "ORC907"}


class EditedReader:
    """Another reader, with some texts, by absolute path, instead of what it gives."""

    def __init__(self, below: Reader, texts: Mapping[str, str]) -> None:
        self._below = below
        self._texts = texts

    def project(self, folder: str) -> Project | None:
        """See `Reader.project`."""
        return self._below.project(folder)

    def read(self, path: str) -> str:
        """See `Reader.read`."""
        text = self._texts.get(path)
        return self._below.read(path) if text is None else text

    def names(self, folder: str) -> list[str]:
        """See `Reader.names`."""
        return self._below.names(folder)


@dataclass(frozen=True)
class Linted:
    """What linting one file gave.

    Attributes:
        path: The file, as the user named it.
        found: Its findings, and those of the files it reads.
        files: The absolute paths of all files it reads, itself included.
    """

    path: str
    found: list[Diagnostic]
    files: frozenset[str]

    @classmethod
    def of(cls, path: str, result: CheckResult, found: list[Diagnostic]) -> Linted:
        """From the result of checking a file, and all findings."""
        program = result.partial
        files = {os.path.normpath(os.path.join(program.base_dir, name)) for name in program.files}
        return cls(path, found, frozenset(files))


#: Lints a file, with the texts of some files (by absolute path) instead of those on the disk.
Lint = Callable[[str, Mapping[str, str]], Linted]


@dataclass
class Fixpoint:
    """Fixes files.

    Attributes:
        lint: How a file is linted.
        linted: What linting gave, by the path the user named; brought up to date.
        owned: Whether a file, by its absolute path, may be changed.
        wanted: Whether a finding made by linting a file, as the user named it, is to be fixed.
        unsafe: Whether to apply unsafe fixes too.
        before: The texts of the changed files as they were, by absolute path.
        after: The same as they are now.
        applied: The findings that were fixed, in the order of fixing.
    """

    lint: Lint
    linted: dict[str, Linted]
    owned: Callable[[str], bool]
    wanted: Callable[[str, Diagnostic], bool]
    unsafe: bool = False
    before: dict[str, str] = field(default_factory=dict)
    after: dict[str, str] = field(default_factory=dict)
    applied: list[Diagnostic] = field(default_factory=list)
    _harmful: set[tuple[str, str, str]] = field(default_factory=set)

    def run(self) -> None:
        """Fix what can be fixed."""
        rounds = Counter[str]()
        changed = True
        while changed:
            changed = False
            for path, found in self._fixable().items():
                if rounds[path] < MAX_ROUNDS and self._improve(path, found):
                    rounds[path] += 1
                    changed = True

    def _fixable(self) -> dict[str, list[Diagnostic]]:
        """What could be fixed now, by the file to be changed."""
        result: dict[str, dict[tuple[int, str, str], Diagnostic]] = {}
        for name, linted in self.linted.items():
            for item in linted.found:
                if not applicable(item, unsafe=self.unsafe) or not self.wanted(name, item):
                    continue
                assert item.fix is not None
                places = {os.path.abspath(edit.span.source.path) for edit in item.fix.edits}
                if len(places) != 1 or _identity(item) in self._harmful:
                    continue
                (path,) = places
                if self.owned(path):
                    # A file that several others read is found at fault by each of them.
                    key = (item.span.start, item.code, item.message)
                    result.setdefault(path, {}).setdefault(key, item)
        return {path: list(found.values()) for path, found in sorted(result.items())}

    def _improve(self, path: str, found: list[Diagnostic]) -> bool:
        """Change one file; whether anything came of it, if only knowing better."""
        assert found[0].fix is not None
        text = found[0].fix.edits[0].span.source.text
        found = [item for item in found if item.code in _HIDING] or found
        if self.after.get(path, text) != text:
            return True  # found before the last change of this file; look again
        fixed, applied = apply_fixes(text, found, unsafe=self.unsafe)
        if not applied:
            self._harmful.update(map(_identity, found))
            return True
        if self._try(path, text, fixed, applied):
            return True
        # One of them does harm. From the end, so that the earlier ones stay where they are.
        now = text
        for item in reversed(applied):
            assert item.fix is not None
            changed = splice(now, item.fix.edits)
            if len(applied) > 1 and self._try(path, text, changed, [item]):
                now = changed
            else:
                self._harmful.add(_identity(item))
        return True

    def _try(self, path: str, original: str, text: str, applied: list[Diagnostic]) -> bool:
        """Keep a new text of a file if it helps."""
        readers = [name for name, linted in self.linted.items() if path in linted.files]
        texts = {**self.after, path: text}
        try:
            new = {name: self.lint(name, texts) for name in readers}
        except InputError:
            return False  # a param that was given is gone
        found = [self.linted[name].found for name in readers]
        if not _better(found, [linted.found for linted in new.values()], applied):
            return False
        self.before.setdefault(path, original)
        self.after[path] = text
        self.linted.update(new)
        self.applied += applied
        return True


def _better(
    old: list[list[Diagnostic]], new: list[list[Diagnostic]], applied: list[Diagnostic]
) -> bool:
    """Whether what was to be fixed is fixed, and nothing is broken."""
    before, after = _count(old), _count(new)
    goals = {_identity(item) for item in applied}
    if any(after[goal] >= before[goal] for goal in goals):
        return False
    hiding_before, hiding_after = _hiding(old), _hiding(new)
    if hiding_after != hiding_before:
        return hiding_after < hiding_before
    errors_before, errors_after = _errors(old), _errors(new)
    if len(applied) > 1:
        # What one of them breaks must not be set off against what another fixes.
        return errors_after <= errors_before
    return errors_after.total() <= errors_before.total()


def _identity(item: Diagnostic) -> tuple[str, str, str]:
    """What a finding is about, wherever in its file it is."""
    return os.path.abspath(item.span.source.path), item.code, item.message


def _count(found: Iterable[list[Diagnostic]]) -> Counter[tuple[str, str, str]]:
    return Counter(_identity(item) for items in found for item in items)


def _errors(found: Iterable[list[Diagnostic]]) -> Counter[tuple[str, str, str]]:
    return _count([item for item in items if item.severity == "error"] for items in found)


def _hiding(found: Iterable[list[Diagnostic]]) -> int:
    return sum(item.code in _HIDING for items in found for item in items)
