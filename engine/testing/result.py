"""The result of a test, as plain data: for the terminal, for JSON and for JUnit.

Holds values only; nothing here runs or decides anything. A test has passed if it has no findings.
"""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import msgspec

from engine.source import Span

__all__ = ["Finding", "FindingKind", "TestResult"]

#: An assertion that does not hold; a mock that does not fit, is used up or left over; a call that
#: no mock replaces; a run that did not finish; a test that cannot begin.
FindingKind = Literal["assertion", "mock", "live", "run", "setup"]


class Finding(msgspec.Struct, frozen=True):
    """One reason why a test failed.

    Attributes:
        message: One sentence.
        span: Where in the file.
        values: The parts of an assertion that does not hold, and what they were.
    """

    kind: FindingKind
    message: str
    span: Span
    values: tuple[tuple[str, Any], ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """The finding as JSON data; `line` and `column` count from 1."""
        at = self.span.begin_position
        return {
            "kind": self.kind,
            "message": self.message,
            "file": self.span.source.path,
            "line": at.line,
            "column": at.column,
            "values": [{"expression": text, "value": value} for text, value in self.values],
        }


class TestResult(msgspec.Struct, frozen=True):
    """The result of one test.

    Attributes:
        ms: How long it took, in milliseconds.
        status: The status of the run (`finished`, `waiting`, ...), or "" if none began.
        reason: Why the run ended as it did.
        story: What failed in the run and what was fed back, a line each: for a test that failed.
    """

    # Pytest would collect a class of this name.
    __test__: ClassVar[bool] = False

    title: str
    target: str
    file: str
    line: int
    ms: float
    findings: tuple[Finding, ...] = ()
    status: str = ""
    reason: str = ""
    story: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether there is nothing to find fault with."""
        return not self.findings

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON data."""
        return {
            "file": self.file,
            "title": self.title,
            "target": self.target,
            "line": self.line,
            "outcome": "passed" if self.passed else "failed",
            "ms": round(self.ms, 3),
            "run": {"status": self.status, "reason": self.reason},
            "findings": [finding.as_dict() for finding in self.findings],
            "story": list(self.story),
        }
