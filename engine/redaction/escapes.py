"""A value whose special characters are written in another way, as every notation of texts does.

JSON and Python put backslashes before them, and JSON in a string of JSON doubles those; addresses
have `%2F`, markup `&amp;`, shells a quote in quotes. Which of its characters a tool writes so, and
how often over, is its own affair. So a value is looked for with each of its special characters in
any of these ways. Letters and digits are always themselves.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cached_property

from engine.redaction.forms import core_of

__all__ = ["Escaped"]

#: So many backslashes are four levels of quoting. The bound keeps a search from taking long.
_MANY = r"\\{0,15}"
_SOME = r"\\{1,15}"
_LETTERS = {"\n": "n", "\r": "r", "\t": "t", "\b": "b", "\f": "f"}
_ENTITIES = {"&": "amp", "<": "lt", ">": "gt", '"': "quot", "'": "apos"}
_IN_SHELLS = (r"'\\''", "'\"'\"'")


class Escaped:
    """Finds one value in all these ways.

    Args:
        value: Not empty.
    """

    def __init__(self, value: str) -> None:
        self._value = value
        self._core = core_of(value)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        # Made when it is needed, which is seldom: for a private key it takes a tenth of a second.
        parts = [_piece(char, first=at == 0) for at, char in enumerate(self._value)]
        return re.compile("".join(parts))

    def replaced(self, text: str, shown: str) -> str:
        """The text with `shown` instead of the value."""
        # What is plain in the value is plain in each form; looking for it costs next to nothing.
        return self._pattern.sub(lambda _: shown, text) if self._core in text else text


def _piece(char: str, *, first: bool) -> str:
    if char.isascii() and char.isalnum():
        return char
    # Backslashes before the first character are not looked for: each of a long row would begin one.
    some, many = (r"\\", "") if first else (_SOME, _MANY)
    ways = [*_codes(char, some), *_quoted(char, some), many + re.escape(char)]
    return "(?:" + "|".join(ways) + ")"


def _codes(char: str, some: str) -> Iterator[str]:
    """After backslashes."""
    if char in _LETTERS:
        yield some + _LETTERS[char]
    units = char.encode("utf-16-be", "surrogatepass")
    pairs = [units[at : at + 2].hex() for at in range(0, len(units), 2)]
    yield "".join(f"{some}u(?i:{pair})" for pair in pairs)
    if ord(char) < 256:
        yield f"{some}x(?i:{ord(char):02x})"
    if not char.isascii():
        yield "".join(f"{some}x(?i:{byte:02x})" for byte in char.encode(errors="surrogatepass"))


def _quoted(char: str, some: str) -> Iterator[str]:
    """In addresses, markup and shells."""
    yield "".join(f"%(?:25){{0,3}}(?i:{it:02x})" for it in char.encode(errors="surrogatepass"))
    if char == " ":
        yield r"\+"
    code = ord(char)
    named = f"{_ENTITIES[char]}|" if char in _ENTITIES else ""
    yield f"(?:&|{some}u0026)(?:{named}#0?{code}|(?i:#x0?{code:x}));"
    if char == "'":
        yield from _IN_SHELLS
