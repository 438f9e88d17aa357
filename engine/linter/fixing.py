"""Fixes applied to a text: which of them go together, and what the text is then.

Pure functions: nothing is read or written, nothing is checked again. A fix is applied whole or
not at all, and two that touch are never applied together: the later one is left for another round
over the new text (`engine.linter.fixpoint`). What a fix does is in its diagnostic.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from itertools import pairwise

from engine.diagnostics import Diagnostic, Edit, Fix

__all__ = ["applicable", "apply_fixes", "splice"]


def applicable(item: Diagnostic, *, unsafe: bool = False) -> bool:
    """Whether a finding has a fix that may be applied; unsafe ones only where asked for."""
    return item.fix is not None and (unsafe or item.fix.safety == "safe")


def apply_fixes(
    text: str, diagnostics: Iterable[Diagnostic], *, unsafe: bool = False
) -> tuple[str, list[Diagnostic]]:
    """Apply the fixes of findings to the text they were found in.

    Args:
        text: The text of one file. Fixes that edit another text are passed over.
        diagnostics: The findings; those without a fix are passed over.
        unsafe: Whether fixes that may change the meaning are applied too.

    Returns:
        The new text, and the findings whose fix was applied, in the order of the text.
    """
    fixes = [
        (min(edit.span.start for edit in item.fix.edits), number, item, item.fix)
        for number, item in enumerate(diagnostics)
        if item.fix is not None
        and applicable(item, unsafe=unsafe)
        and item.fix.edits
        and all(edit.span.source.text == text for edit in item.fix.edits)
    ]
    taken = _Taken()
    edits: list[Edit] = []
    applied: list[Diagnostic] = []
    for _, _, item, fix in sorted(fixes, key=lambda entry: entry[:2]):
        if taken.add(fix):
            edits.extend(fix.edits)
            applied.append(item)
    return splice(text, edits), applied


def splice(text: str, edits: Iterable[Edit]) -> str:
    """The text with edits made, which must not overlap; new lines end as those of the text do."""
    crlf = "\r\n" in text
    parts: list[str] = []
    at = 0
    for edit in sorted(edits, key=lambda edit: (edit.span.start, edit.span.end)):
        new = edit.text.replace("\r\n", "\n")
        parts += [text[at : edit.span.start], new.replace("\n", "\r\n") if crlf else new]
        at = edit.span.end
    return "".join([*parts, text[at:]])


class _Taken:
    """The ranges that are edited already, in order."""

    def __init__(self) -> None:
        self._ranges: list[tuple[int, int]] = []

    def add(self, fix: Fix) -> bool:
        """Take the ranges of a fix, if they touch none taken before and none of its own overlap."""
        own = sorted((edit.span.start, edit.span.end) for edit in fix.edits)
        if any(one[1] > next[0] for one, next in pairwise(own)) or any(map(self._touches, own)):
            return False
        for range in own:
            insort(self._ranges, range)
        return True

    def _touches(self, range: tuple[int, int]) -> bool:
        """Whether nothing is between a range and one of those taken."""
        at = bisect_left(self._ranges, range)
        return any(
            range[0] <= end and start <= range[1]
            for start, end in self._ranges[max(0, at - 1) : at + 1]
        )
