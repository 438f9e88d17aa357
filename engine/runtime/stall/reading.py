"""Reads a bounded part of a value as marks: its words, its facts, and what it looks like.

A *fact* is a token that rewording does not invent: a number, a name (a capital letter), a link, a
path. Everything else is a word, and counts half. What programs print and did not find out (times of
day, UUIDs, the query of a link) is left out. Scripts without capitals and spaces are read as pairs
of characters.

At most `OUTPUT_CHARS` of an output and `INPUT_CHARS` of an input are read, in four places of what
is longer. A mark is the CRC-32 of a token: nothing here depends on the seed of Python's hashes, and
no text is kept.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from itertools import islice
from typing import Any
from zlib import crc32

import msgspec

__all__ = ["COUNTED", "FACT", "INPUT_CHARS", "OUTPUT_CHARS", "Asked", "Told", "asked", "told"]

#: How much of an output is read, in characters.
OUTPUT_CHARS = 4_000
#: How much of an input and of a goal is read, in characters.
INPUT_CHARS = 2_000
#: In how many places a value is read that is longer than that.
_WINDOWS = 4
#: How many texts inside a value are looked at.
_LEAVES = 400
#: How many shingles of an input are kept: those with the lowest marks.
_SKETCH = 64
#: A text of so few words in an input is a name, such as that of a file or a city.
_NAME = 2
#: How many numbers of an output are compared with those of an earlier one like it.
_NUMBERS = 8
#: Whole numbers with more bits are not read: writing them in digits takes time.
_BITS = 128

#: The weights of tokens; `COUNTED`: of a number, where the rest is known word for word.
FACT, WORD, COUNTED = 4, 2, 1

# Every part is bounded, so that no text takes more than its length times a constant.
_TOKEN = re.compile(
    r"https?://(?P<link>[^\s\"'<>()\[\]{}?#]+)[^\s\"'<>()\[\]{}]*"
    r"|(?P<noise>\b\d{1,2}:\d\d:\d\d(?:\.\d{1,9})?Z?"
    r"|\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b)"
    r"|(?P<path>(?:[\w.-]{0,100}/){1,20}[\w.-]{0,100})"
    r"|(?P<number>\d{1,40}(?:[.,]\d{1,40})*(?![^\W_]))"
    r"|(?P<word>\w+)"
)
_DIGITS = re.compile(r"\d{1,40}")
_HAS_DIGIT = re.compile(r"\d")


class Asked(msgspec.Struct, frozen=True):
    """What an input says.

    Attributes:
        words: Its tokens, each with whether it is a fact.
        stems: Its words without their endings.
        sketch: Its words and pairs of words without endings, those with the lowest marks. Two
            sketches overlap about as much as the inputs they are from, however long these are.
    """

    words: dict[int, bool] = {}
    stems: frozenset[int] = frozenset()
    sketch: frozenset[int] = frozenset()


class Told(msgspec.Struct, frozen=True):
    """What an output says.

    Attributes:
        tokens: Its tokens, each with its weight.
        numbers: Its numbers, in order, at most `_NUMBERS`.
        figures: The tokens that are numbers.
        template: What it looks like: all of its tokens in order, every number alike.
        percent: It speaks of percents, so that a number in it moves towards a hundred.
        bare: It has numbers, and no words but the names of its fields.
    """

    tokens: dict[int, int] = {}
    numbers: tuple[float, ...] = ()
    figures: frozenset[int] = frozenset()
    template: int = 0
    percent: bool = False
    bare: bool = False


def asked(value: Any) -> Asked:
    """Read an input, or a goal."""
    words: dict[int, bool] = {}
    stems: set[int] = set()
    pairs: set[int] = set()
    for text, is_name in _texts(value, INPUT_CHARS):
        last = 0
        tokens = list(_tokens(text))
        for kind, token in tokens:
            # A sentence begins with a capital, whatever it is about.
            named = kind != "word" or (_stands_out(token) and bool(last)) or _has_digit(token)
            is_fact = named or len(tokens) <= _NAME
            mark = crc32(token.lower().encode(errors="replace"))
            words[mark] = words.get(mark, False) or (is_fact and not is_name)
            stem = _stem(token)
            pairs.add(crc32(stem, last))
            last = crc32(stem)
            stems.add(last)
    return Asked(words, frozenset(stems), frozenset(sorted(pairs | stems)[:_SKETCH]))


def told(value: Any) -> Told:
    """Read an output."""
    tokens: dict[int, int] = {}
    numbers: list[float] = []
    figures: set[int] = set()
    template, words, percent = 0, False, False
    for text, is_name in _texts(value, OUTPUT_CHARS):
        percent = percent or "%" in text
        for kind, token in _tokens(text):
            written = token.lower().encode(errors="replace")
            mark = crc32(written)
            is_number = kind == "number"
            if is_number:
                figures.add(mark)
                if len(numbers) < _NUMBERS:
                    numbers.append(_number(token))
            words = words or not (is_number or is_name)
            is_fact = not is_name and (kind != "word" or _stands_out(token))
            tokens[mark] = max(tokens.get(mark, 0), FACT if is_fact else WORD)
            template = crc32(b"0" if is_number else written, template)
    bare = bool(numbers) and not words
    return Told(tokens, tuple(numbers), frozenset(figures), template, percent, bare)


def _texts(value: Any, limit: int) -> Iterator[tuple[str, bool]]:
    """The texts inside a value, in order, and whether each is the name of a field.

    Of what is longer than the limit altogether, windows at even distances are read.
    """
    parts = _parts(value)
    total = sum(len(text) for text, _ in parts)
    if total <= limit:
        yield from parts
        return
    size = limit // _WINDOWS
    starts = [(total - size) * place // (_WINDOWS - 1) for place in range(_WINDOWS)]
    begin = 0
    for text, is_name in parts:
        end = begin + len(text)
        for start in starts:
            if start < end and start + size > begin:
                yield text[max(0, start - begin) : start + size - begin], is_name
        begin = end


class _Name(msgspec.Struct, frozen=True):
    """The name of a field, on its way."""

    text: str


def _parts(value: Any) -> list[tuple[str, bool]]:
    """At most `_LEAVES` texts, of long lists and objects from both of their ends."""
    parts: list[tuple[str, bool]] = []
    left = [value]
    while left and len(parts) < _LEAVES:
        value = left.pop()
        if isinstance(value, _Name):
            parts.append((value.text, True))
        elif isinstance(value, str):
            parts.append((value, False))
        elif isinstance(value, dict):
            for name, inner in _ends(value.items()):
                left += (inner, _Name(name))
        elif isinstance(value, list):
            left += _ends(value)
        elif value is not None and not (isinstance(value, int) and value.bit_length() > _BITS):
            parts.append((str(value).lower(), False))
    return parts


def _ends(values: Collection[Any]) -> list[Any]:
    """What is looked at of a list or of the fields of an object, last first."""
    if len(values) <= _LEAVES:
        return list(values)[::-1]
    last = list(islice(reversed(values), _LEAVES // 2))  # type: ignore[call-overload]
    return last + list(islice(values, _LEAVES // 2))[::-1]


def _tokens(text: str) -> Iterator[tuple[str, str]]:
    """The tokens of a text, each with its kind."""
    for match in _TOKEN.finditer(text):
        kind = match.lastgroup or "word"
        token = match.group(kind)
        if kind == "number":
            yield kind, token.replace(",", "")
        elif kind == "word" and len(token) > 4 and _without_case(token):
            for at in range(len(token) - 1):
                yield kind, token[at : at + 2]
        elif kind == "path" and not any(character.isalpha() for character in token):
            for number in _DIGITS.findall(token):  # 3/10, or a date
                yield "number", number
        elif kind != "noise":
            yield kind, token[:80].rstrip("./")


def _number(token: str) -> float:
    try:
        return float(token[:30])
    except ValueError:  # such as 1.2.3
        return float(crc32(token.encode(errors="replace")))


def _stands_out(token: str) -> bool:
    """A word that may be a name: with a capital, with a digit, or of a script without capitals."""
    return token[0].isupper() or _has_digit(token) or _without_case(token)


def _has_digit(token: str) -> bool:
    return _HAS_DIGIT.search(token) is not None


def _without_case(token: str) -> bool:
    return token.lower() == token.upper() and token.isalpha()


def _stem(token: str) -> bytes:
    """A word without its ending, roughly: `flight` and `flights` are one."""
    token = token.lower()
    return (token if _has_digit(token) else token.rstrip("s")[:6] or token).encode(errors="replace")
