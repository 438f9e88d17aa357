"""Diagnostics as SARIF 2.1.0, which code hosts and editors read: one log with one run.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/. Columns count UTF-16 code units, as `columnKind`
says; paths are relative to the folder behind `%SRCROOT%` where they are inside it. A run lists the
rules that were broken, with the words and examples that `orch explain` prints.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from engine.diagnostics.catalogue import RULES, explained
from engine.diagnostics.diagnostic import Diagnostic, Fix, Related
from engine.source import SourceFile, Span
from engine.version import __version__

__all__ = ["render"]

_SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_LEVELS = {"error": "error", "warning": "warning", "info": "note"}


def render(found: Sequence[Diagnostic], root: str) -> str:
    """The log as JSON text, with a line end.

    Args:
        found: The findings, in order.
        root: The absolute folder that relative paths begin at.
    """
    codes = sorted({item.code for item in found})
    index = {code: number for number, code in enumerate(codes)}
    base = Path(root).as_uri()
    run = {
        "tool": {
            "driver": {"name": "orch", "version": __version__, "rules": [_rule(c) for c in codes]}
        },
        "columnKind": "utf16CodeUnits",
        "originalUriBaseIds": {"%SRCROOT%": {"uri": base if base.endswith("/") else f"{base}/"}},
        "results": [_result(item, index[item.code], root) for item in found],
    }
    log = {"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}
    return json.dumps(log, indent=2, ensure_ascii=True) + "\n"


def _rule(code: str) -> dict[str, Any]:
    rule, example = RULES[code], explained(code)
    text = f"{rule.summary} {example.why} `orch explain {code}` says more, as does {rule.page}."
    markdown = text
    for title, shown in (("Reported", example.bad), ("Fine", example.good)):
        if shown:
            markdown += f"\n\n{title}:\n\n```orch\n{shown.strip()}\n```"
    return {
        "id": code,
        "name": rule.name,
        "shortDescription": {"text": rule.summary},
        "fullDescription": {"text": example.why},
        "help": {"text": text, "markdown": markdown},
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
    }


def _result(item: Diagnostic, index: int, root: str) -> dict[str, Any]:
    text = item.message if item.help is None else f"{item.message}\n{item.help}"
    result: dict[str, Any] = {
        "ruleId": item.code,
        "ruleIndex": index,
        "level": _LEVELS[item.severity],
        "message": {"text": text},
        "locations": [_location(item.span, root)],
    }
    if item.related:
        result["relatedLocations"] = [
            _related(place, number, root) for number, place in enumerate(item.related)
        ]
    if item.fix is not None:
        result["fixes"] = [_fix(item.fix, root)]
    return result


def _related(place: Related, number: int, root: str) -> dict[str, Any]:
    return {"id": number, "message": {"text": place.message}, **_location(place.span, root)}


def _fix(fix: Fix, root: str) -> dict[str, Any]:
    changes: dict[str, dict[str, Any]] = {}
    for edit in fix.edits:
        path = edit.span.source.path
        change = changes.setdefault(
            path, {"artifactLocation": _artifact(path, root), "replacements": []}
        )
        replacement: dict[str, Any] = {"deletedRegion": _region(edit.span)}
        if edit.text:
            replacement["insertedContent"] = {"text": edit.text}
        change["replacements"].append(replacement)
    return {"description": {"text": fix.title}, "artifactChanges": list(changes.values())}


def _location(span: Span, root: str) -> dict[str, Any]:
    place = {"artifactLocation": _artifact(span.source.path, root), "region": _region(span)}
    return {"physicalLocation": place}


def _artifact(path: str, root: str) -> dict[str, str]:
    relative = os.path.relpath(path, root)
    if relative.split(os.sep, 1)[0] == os.pardir:
        return {"uri": Path(path).absolute().as_uri()}
    return {"uri": quote(os.fsencode(relative.replace(os.sep, "/"))), "uriBaseId": "%SRCROOT%"}


def _region(span: Span) -> dict[str, int]:
    start_line, start_column = _point(span.source, span.start)
    end_line, end_column = _point(span.source, span.end)
    return {
        "startLine": start_line,
        "startColumn": start_column,
        "endLine": end_line,
        "endColumn": end_column,
    }


def _point(source: SourceFile, offset: int) -> tuple[int, int]:
    """The 1-based line, and the column in UTF-16 code units."""
    at = source.position(offset)
    offset = min(offset, len(source.text))
    before = source.text[offset - at.column + 1 : offset]
    return at.line, 1 + len(before) + sum(char > "\uffff" for char in before)
