"""A model's text, and the JSON in it: what is found around it, and what is passed over.

Models think aloud (`<think>...</think>`, the channels of gpt-oss), write a sentence before or
after, and put fences anywhere. The value is the whole text where that is JSON. Else it is the
object or list that the answer begins with; else the last fenced block, or the last object in the
prose: what a model writes first in prose is a draft. What is only thought is never a value.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec

__all__ = ["NotJSON", "Opening", "find_json", "spoken"]

#: Names of the tags between which models think.
_THOUGHTS = ("think", "thinking", "thought", "reasoning", "seed:think")
_TAGS = "|".join(_THOUGHTS)
_OPENING = re.compile(rf"\s*<({_TAGS})>", re.IGNORECASE)
_CLOSING = re.compile(rf"</(?:{_TAGS})>", re.IGNORECASE)
#: Where the channel that is meant for the caller begins, in the format of gpt-oss.
_FINAL = "<|channel|>final<|message|>"
_CONTROL = re.compile(r"<\|(?:end|return|start|message|channel|constrain)\|>")
_ROOT = re.compile(r"[{\[]")
_BOM = "\ufeff"
#: An opening fence, and the beginning of a fence or of a thought's tag.
_OPEN_FENCE = re.compile(r"```(?:json)?[ \t]*\n\s*", re.IGNORECASE)
_UNFINISHED = re.compile(r"<[a-z:]{0,12}|`{1,2}|```[a-z]{0,4}[ \t]*", re.IGNORECASE)
#: The longest closing tag of a thought, which may come in two pieces.
_LONGEST_TAG = 16
_AFTER_KEY = re.compile(r'"\s*:')
#: So many places in a prose are tried, each of which may cost a parse of all that follows; and a
#: longer prose is not searched.
_MAX_TRIES = 64
_MAX_PROSE = 256 * 1024
#: Longer texts are not searched for keys that occur twice.
_MAX_CHECKED = 1_000_000


class NotJSON(Exception):
    """No JSON was found; the message says where the text breaks.

    `broken_off` says whether one begins that does not end.
    """

    broken_off = False


def spoken(text: str) -> str:
    """What a text says to the caller: without the thoughts before it, stripped.

    A thought that never ends leaves nothing.
    """
    text = text.lstrip(_BOM).strip()
    if _FINAL in text:
        text = _CONTROL.split(text.rpartition(_FINAL)[2])[0].strip()
    at = 0
    while (opened := _OPENING.match(text, at)) is not None:
        closed = _CLOSING.search(text, opened.end())
        if closed is None:
            return ""
        at = closed.end()
    text = text[at:].strip()
    # Where the prompt's template opens the thought, the answer holds its end alone. One that a
    # quote follows is the end of a string.
    if text[:1] not in ("{", "[", "`", '"') and (ends := list(_CLOSING.finditer(text))):
        rest = text[ends[-1].end() :].strip()
        text = text if rest[:1] == '"' else rest
    return text


class Opening:
    """Waits, in a text that comes in pieces, for the object that the answer begins with.

    Thoughts between their tags and one opening fence may come before it. Each character is looked
    at once, but for a tag's length.
    """

    def __init__(self) -> None:
        self._state = "before"
        self._kept = _BOM

    def rest(self, piece: str) -> str:
        """The part of a piece that belongs to the object or follows it; "" where there is none."""
        if self._state == "open":
            return piece
        if self._state == "never":
            return ""
        self._kept += piece
        while self._state == "thinking" or (opened := self._thought()) is not None:
            if self._state == "before" and opened is not None:
                self._kept = self._kept[opened.end() :]
                self._state = "thinking"
            closed = _CLOSING.search(self._kept)
            if closed is None:
                self._kept = self._kept[-_LONGEST_TAG:]
                return ""
            self._kept = self._kept[closed.end() :]
            self._state = "before"
        return self._opened()

    def _thought(self) -> re.Match[str] | None:
        self._kept = self._kept.lstrip(_BOM).lstrip()
        return _OPENING.match(self._kept)

    def _opened(self) -> str:
        """The text from the object on, once it is certain that one comes or that none does."""
        said = self._kept
        fence = _OPEN_FENCE.match(said)
        if fence is not None:
            said = said[fence.end() :]
        if said.startswith("{"):
            self._state, self._kept = "open", ""
            return said
        if said and not _UNFINISHED.fullmatch(said):
            self._state, self._kept = "never", ""
        return ""


def find_json(text: str) -> Any:
    """The JSON value in a model's text.

    Raises:
        NotJSON: There is none.
    """
    said = spoken(text)
    if not said:
        raise NotJSON("it ends inside its thoughts" if text.strip() else "it is empty")
    try:
        return _decoded(said)
    except NotJSON as error:
        for part in _candidates(said):
            try:
                return _decoded(part)
            except NotJSON:
                continue
        error.broken_off = _is_broken_off(said)
        raise error from None


def _is_broken_off(said: str) -> bool:
    """Whether a text, after an opening fence, is the beginning of an object or a list."""
    fence = _OPEN_FENCE.match(said)
    if fence is not None:
        said = said[fence.end() :]
    if said[:1] not in ("{", "["):
        return False
    try:
        msgspec.json.decode(said)
    except msgspec.DecodeError as error:
        return str(error) == "Input data was truncated"
    except (RecursionError, UnicodeEncodeError):
        return False
    return False


def _candidates(said: str) -> Iterator[str]:
    """The parts of a text that may be the value, most likely first."""
    if said[0] in "{[" and (first := _value_at(said, 0)) is not None:
        yield said[:first]
        return
    if len(said) > _MAX_PROSE:
        return
    blocks = [block for block in _fenced(said) if block]
    yield from (block for block in reversed(blocks) if block[0] in "{[")
    yield from (block for block in reversed(blocks) if block[0] not in "{[")
    found, at = [], 0
    for _ in range(_MAX_TRIES):
        opening = _ROOT.search(said, at)
        if opening is None:
            break
        end = _value_at(said, opening.start())
        if end is not None:
            found.append(said[opening.start() : end])
        at = end or opening.end()
    yield from (part for part in reversed(found) if part[0] == "{")
    yield from (part for part in reversed(found) if part[0] == "[")


def _fenced(said: str) -> Iterator[str]:
    """The contents of a text's fenced blocks."""
    block: list[str] | None = None
    for line in said.splitlines():
        if not line.lstrip().startswith("```"):
            if block is not None:
                block.append(line)
        elif block is None:
            block = []
        else:
            yield "\n".join(block).strip()
            block = None


def _value_at(text: str, start: int) -> int | None:
    """Where the value that begins at `start` ends; None if it does not parse."""
    try:
        return json.JSONDecoder().raw_decode(text, start)[1]
    except (ValueError, RecursionError):
        return None


def _decoded(text: str) -> Any:
    try:
        value = msgspec.json.decode(text)
    except msgspec.DecodeError as error:
        raise NotJSON(str(error)) from None
    except RecursionError:
        raise NotJSON("it is nested too deeply") from None
    except UnicodeEncodeError:
        raise NotJSON("it holds half of a surrogate pair") from None
    if isinstance(value, (dict, list)) and len(text) <= _MAX_CHECKED and _may_repeat(text, value):
        _refuse_repeated(text)
    return value


def _may_repeat(text: str, value: Any) -> bool:
    """Whether an object in the text may have a key twice.

    Written again, the value has each key once. If both texts have as many colons after quotes, the
    first has no more keys than that: so nearly every answer is spared the slow look.
    """
    written = msgspec.json.encode(value).count(b'":')
    return "\\u0022" in text or len(_AFTER_KEY.findall(text)) != written


def _refuse_repeated(text: str) -> None:
    """Refuse an object that has a key twice: which of the two is meant cannot be known."""

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(items)
        if len(found) != len(items):
            names = [name for name, _ in items]
            twice = next(name for name in names if names.count(name) > 1)
            raise NotJSON(f"it has the key `{twice[:60]}` twice in one object")
        return found

    try:
        json.loads(text, object_pairs_hook=pairs)
    except (ValueError, RecursionError):
        return  # the other parser has taken it, and is the stricter one
