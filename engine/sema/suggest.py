""" "Did you mean": finds the nearest valid name.

The threshold is defined in one place, so all suggestions are consistent. The search is always fast,
although a name may be a long external text and there may be thousands of candidates.
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
#: How many of them may be equally near.
_MAX_TIES = 8


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
    from difflib import SequenceMatcher, get_close_matches

    found = get_close_matches(name, names, n=_MAX_TIES, cutoff=0.6)
    if len(found) < 2:
        return found[0] if found else None
    # Of those that are equally near, the one that begins as the name does longest.
    nearness = {other: SequenceMatcher(None, other, name).ratio() for other in found}
    nearest = [other for other in found if nearness[other] == nearness[found[0]]]
    return max(nearest, key=lambda other: (_shared(other, name), other))


def _shared(one: str, other: str) -> int:
    """How many characters two names begin with alike."""
    length = min(len(one), len(other))
    return next((at for at in range(length) if one[at] != other[at]), length)


def names_list(names: Iterable[str], limit: int = 12) -> str:
    """Names as a person lists them: `a`, `b`, `c`."""
    shown = [f"`{name}`" for name in names]
    if len(shown) > limit:
        shown = [*shown[:limit], f"{len(shown) - limit} more"]
    return ", ".join(shown)
