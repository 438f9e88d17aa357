"""Where inputs and results came from, as text for people: what untrusted text is in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from engine.cli.format_values import one_line

__all__ = ["source_texts", "tainted_text"]

#: How many parts of a result, or sources of an input, are listed.
_LISTED = 20


def tainted_text(report: Mapping[str, Any]) -> str:
    """Which parts of the result hold untrusted text, in one line."""
    finished = report["status"] == "finished"
    what = "the answer" if finished else "the partial result"
    parts = report["tainted_parts"]
    listed = ", ".join(parts[:_LISTED])
    more = f" and {len(parts) - _LISTED} more" if len(parts) > _LISTED else ""
    return f"{what} holds untrusted text" + (f": {one_line(listed)}{more}" if parts != [""] else "")


def source_texts(sources: Sequence[Mapping[str, Any]], most: int = _LISTED) -> Iterator[str]:
    """Where the parts of an input came from, a source a line; `!` marks untrusted text."""
    for source in sources[:most]:
        mark = "!" if source["tainted"] else " "
        yield f"{mark} {one_line(source['path'][1:], 200)}: {one_line(source['way'], 400)}"
    if len(sources) > most:
        strange = sum(source["tainted"] for source in sources[most:])
        yield f"  and {len(sources) - most} more, {strange} of them with untrusted text"
