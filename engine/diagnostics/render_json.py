"""Diagnostics as JSON for other programs: one array, one object a finding.

The shape is a promise to those who read it; fields are only ever added:

    {"code", "name", "severity", "message", "file",
     "range": {"start": {"line", "column"}, "end": {"line", "column"}},
     "help": string or null,
     "fix": null or {"title", "safety", "edits": [{"file", "range", "text"}]},
     "page": the rule's page of the documentation}

Lines and columns are 1-based, a column counts characters, and a range's end is exclusive.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import msgspec

from engine.diagnostics.catalogue import RULES
from engine.diagnostics.diagnostic import Diagnostic
from engine.source import Place, Span

__all__ = ["as_dict", "place_dict", "render"]


def render(found: Sequence[Diagnostic]) -> str:
    """All findings as one JSON array, indented, with a line end."""
    return json.dumps([as_dict(item) for item in found], indent=2, ensure_ascii=True) + "\n"


def as_dict(item: Diagnostic) -> dict[str, Any]:
    """One finding as plain data."""
    fix = None
    if item.fix is not None:
        edits = [
            {"file": edit.span.source.path, "range": _range(edit.span), "text": edit.text}
            for edit in item.fix.edits
        ]
        fix = {"title": item.fix.title, "safety": item.fix.safety, "edits": edits}
    return {
        "code": item.code,
        "name": item.name,
        "severity": item.severity,
        "message": item.message,
        "file": item.span.source.path,
        "range": _range(item.span),
        "help": item.help,
        "fix": fix,
        "page": RULES[item.code].page,
    }


def place_dict(place: Place) -> dict[str, Any]:
    """`{"file", "range"}` as in a finding."""
    made: dict[str, Any] = msgspec.to_builtins(place)
    return made


def _range(span: Span) -> dict[str, Any]:
    made: dict[str, Any] = msgspec.to_builtins(span.place.range)
    return made
