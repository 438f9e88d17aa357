"""Whether a value is in a text as a whole token, as `@from(request)` promises it.

The definition is in `docs/reference/language.md` (Where values come from); this is all of it. A
value is a whole token where no letter, digit or `_` touches it, not even past characters that join
words: so `a@b.example` is not in `x.a@b.example` or in `a@b.example.net`. Texts are compared as
NFC. Nothing is folded: case counts, and look-alike letters are different letters.

Nothing here knows of a run. The cost of a question is bounded by `MOST_PLACES`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from decimal import Decimal

__all__ = ["MOST_PLACES", "as_number", "collapsed", "is_whole_token", "nfc", "numbers_in"]

#: How many places where a value occurs are looked at; one after these is not found.
MOST_PLACES = 1_000
#: Characters that join what is on both sides of them to one token, in a row too.
_JOINING = frozenset(".:/\\-@+=~#%&*?^\u2010\u2011")
#: A longer row of them counts as a part of a token, whatever follows.
_MOST_JOINING = 64
#: Characters that do so between digits only.
_BETWEEN_DIGITS = frozenset(",'\u2019\u00a0\u202f\u2009")
_LETTERS = frozenset({"L", "M", "N"})

_CURRENCY = r"[$\u00a2-\u00a5\u20a0-\u20cf]"
# `0,005` does not group thousands.
_GROUPED = (
    r"[1-9][0-9]{0,2}(?:(?P<sep>[,'\u2019_ \u00a0\u202f\u2009])[0-9]{3})(?:(?P=sep)[0-9]{3})*"
)
_DOTTED = r"[1-9][0-9]{0,2}(?:(?P<dot>[.' \u2019\u00a0\u202f\u2009])[0-9]{3})(?:(?P=dot)[0-9]{3})*"
_NUMBER = re.compile(
    r"(?P<sign>[-+\u2212])?"
    + rf"(?P<currency>{_CURRENCY} ?)?"
    + r"(?P<later>[-\u2212])?"
    + r"(?:"
    + rf"(?P<dotted>{_DOTTED}),(?P<cents>[0-9]{{1,2}})(?![0-9])"
    + rf"|(?P<grouped>{_GROUPED}(?![0-9])(?:\.[0-9]+)?)"
    + r"|(?P<comma>[0-9]+),(?P<part>[0-9]{1,2})(?![0-9]|,[0-9])"
    + r"|(?P<plain>[0-9]+(?:\.[0-9]+)?|\.[0-9]+)"
    + r")"
    + rf"(?: ?{_CURRENCY})?"
    + r"(?P<percent> ?%)?"
)
#: No amount has more digits; Python refuses to read much longer ones.
_MOST_DIGITS = 40


def nfc(text: str) -> str:
    """A text in Unicode's normal form C."""
    return text if text.isascii() else unicodedata.normalize("NFC", text)


def collapsed(text: str) -> str:
    """A text with one space for each run of white space."""
    return " ".join(text.split())


def is_whole_token(value: str, text: str) -> bool:
    """Whether a value is somewhere in a text as a whole token.

    Args:
        value: In NFC.
        text: In NFC.
    """
    if not any(map(str.isalnum, value)):
        return False
    at = text.find(value)
    for _ in range(MOST_PLACES):
        if at < 0:
            return False
        if _is_alone(text, at, at + len(value)):
            return True
        at = text.find(value, at + 1)
    return False


def numbers_in(text: str) -> Iterator[int | float]:
    """The numbers of a text that are whole tokens, by value; a percentage as both numbers."""
    for found in _NUMBER.finditer(text):
        # A currency sign begins a number whatever is before it: `US$50`.
        before = found["currency"] is None and _joins(text, found.start() - 1, -1)
        if not before and not _joins(text, found.end(), 1):
            yield from _values(found)


def as_number(text: str) -> int | float | None:
    """The number that a text is, or None."""
    found = _NUMBER.fullmatch(text.strip()) if len(text) <= 2 * _MOST_DIGITS else None
    return None if found is None else next(_values(found), None)


def _values(found: re.Match[str]) -> Iterator[int | float]:
    if found["dotted"]:
        written = "".join(c for c in found["dotted"] if c in "0123456789")
        written += "." + found["cents"]
    elif found["grouped"]:
        written = "".join(c for c in found["grouped"] if c in "0123456789.")
    elif found["comma"]:
        written = f"{found['comma']}.{found['part']}"
    else:
        written = found["plain"]
    if len(written) > _MOST_DIGITS:
        return
    if found["later"] or (found["sign"] or "+") != "+":
        written = f"-{written}"
    yield float(written) if "." in written else int(written)
    if found["percent"]:
        yield float(Decimal(written) / 100)


def _is_alone(text: str, start: int, end: int) -> bool:
    """Whether nothing that belongs to a token touches a part of a text."""
    return not (_joins(text, start - 1, -1) or _joins(text, end, 1))


def _joins(text: str, at: int, step: int) -> bool:
    """Whether the token continues beyond a border.

    Args:
        at: The first place outside.
        step: The way outwards, 1 or -1.
    """
    if not 0 <= at < len(text):
        return False
    if text[at] == " ":
        return _groups(text, at)
    if text[at] in _BETWEEN_DIGITS:
        inner, outer = at - step, at + step
        return 0 <= outer < len(text) and text[inner].isdigit() and text[outer].isdigit()
    for _ in range(_MOST_JOINING):
        if not 0 <= at < len(text):
            return False
        if text[at] not in _JOINING:
            return _is_word(text[at])
        at += step
    return True


def _groups(text: str, at: int) -> bool:
    """Whether a space is between groups of three digits: `1 000`."""
    left = at
    while left > 0 and at - left < 4 and text[left - 1].isdigit():
        left -= 1
    after = text[at + 1 : at + 5]
    if not (1 <= at - left <= 3 and after[:3].isdigit() and len(after) >= 3):
        return False
    # Not the end of a date, or of a name: `2024-05-19 100`.
    before = text[left - 1] if left else ""
    return not after[3:].isdigit() and not (before in _JOINING or _is_word(before or " "))


def _is_word(char: str) -> bool:
    if char.isalnum() or char == "_":
        return True
    if char.isascii():
        return False
    category = unicodedata.category(char)
    return category[0] in _LETTERS or category in ("Cf", "Co", "Pc")
