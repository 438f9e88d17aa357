"""Did you mean: the nearest of the names that would have been right.

One place decides how near is near enough, so that every suggestion feels the same, and that none
takes long: a name may be a whole text that came from outside, and the candidates may be thousands.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

__all__ = ["closest", "names_list"]

#: Longer text is not a mistyped name.
_MAX_LENGTH = 80
#: How many candidates are looked at, and how many closely.
_MAX_READ = 10_000
_MAX_CANDIDATES = 256


def closest(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate that was most likely meant, or None if none is near."""
    if len(name) > _MAX_LENGTH:
        return None
    read = islice(candidates, _MAX_READ)
    names = sorted({other for other in read if len(other) <= _MAX_LENGTH} - {name})
    lowered = name.lower()
    for candidate in names:
        if candidate.lower() == lowered:
            return candidate
    if len(names) > _MAX_CANDIDATES:
        # Of so many, one that begins as the name does, or is as long, is near enough.
        begun = [other for other in names if other[:1].lower() == lowered[:1]]
        alike = [other for other in begun or names if abs(len(other) - len(name)) <= 2]
        names = alike[:_MAX_CANDIDATES]
    # 2 ms of CPU, and only a mistake needs it.
    from difflib import get_close_matches

    found = get_close_matches(name, names, n=1, cutoff=0.6)
    return found[0] if found else None


def names_list(names: Iterable[str], limit: int = 12) -> str:
    """Names as a person lists them: `a`, `b`, `c`."""
    shown = [f"`{name}`" for name in names]
    if len(shown) > limit:
        shown = [*shown[:limit], f"{len(shown) - limit} more"]
    return ", ".join(shown)
