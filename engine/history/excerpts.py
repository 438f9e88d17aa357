"""Two long texts around the place where they begin to differ.

A prompt, a list of workers or a schema may be many kilobytes and differ in one word. What is shown
of them has to hold that word.
"""

from __future__ import annotations

__all__ = ["excerpts"]


def excerpts(old: str, new: str, room: int = 60) -> tuple[str, str]:
    """At most `room` characters of each text, besides the dots that say that there is more."""
    at = next(
        (i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b),
        min(len(old), len(new)),
    )
    begin = max(0, at - room // 2)
    return _cut(old, begin, room), _cut(new, begin, room)


def _cut(text: str, begin: int, room: int) -> str:
    lead = "..." if begin else ""
    return lead + text[begin : begin + room] + ("..." if len(text) > begin + room else "")
