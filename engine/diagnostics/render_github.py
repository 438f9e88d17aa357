"""Diagnostics as GitHub workflow commands, which show up on the lines of a pull request.

The escapes are those of the runner's own toolkit: `%`, CR and LF everywhere, `:` and `,` in
properties too. Whatever else a log would obey is taken out. A message holds the help, since an
annotation has no place of its own for it.
"""

from __future__ import annotations

from collections.abc import Sequence

from engine.diagnostics.diagnostic import Diagnostic
from engine.printable import printable

__all__ = ["render"]

_LEVELS = {"error": "error", "warning": "warning", "info": "notice"}


def render(found: Sequence[Diagnostic]) -> str:
    """One `::error file=...::message` line a finding; the empty string for none."""
    return "".join(_command(item) + "\n" for item in found)


def _command(item: Diagnostic) -> str:
    begin, end = item.span.begin_position, item.span.end_position
    properties = {"file": item.span.source.path, "line": str(begin.line)}
    # GitHub takes columns only where a range begins and ends on one line.
    if begin.line == end.line:
        properties["col"] = str(begin.column)
    properties["endLine"] = str(end.line)
    if begin.line == end.line:
        properties["endColumn"] = str(end.column)
    properties["title"] = f"{item.code} {item.name}"
    listed = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    text = item.message if item.help is None else f"{item.message}\n{item.help}"
    return f"::{_LEVELS[item.severity]} {listed}::{_data(text)}"


def _data(text: str) -> str:
    return printable(text).replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
