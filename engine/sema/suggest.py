"""Did you mean: the nearest of the names that would have been right.

One place decides how near is near enough, so that every suggestion of the checker feels the same.
"""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

__all__ = ["closest", "names_list"]


def closest(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate that was most likely meant, or None if none is near."""
    names = sorted(set(candidates) - {name})
    for candidate in names:
        if candidate.lower() == name.lower():
            return candidate
    found = get_close_matches(name, names, n=1, cutoff=0.6)
    return found[0] if found else None


def names_list(names: Iterable[str], limit: int = 12) -> str:
    """Names as a person lists them: `a`, `b`, `c`."""
    shown = [f"`{name}`" for name in names]
    if len(shown) > limit:
        shown = [*shown[:limit], f"{len(shown) - limit} more"]
    return ", ".join(shown)
