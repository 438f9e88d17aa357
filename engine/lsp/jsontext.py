"""Where in the text of a JSON file something is."""

from __future__ import annotations

import json
import re

__all__ = ["offset_of_pointer"]

_TOKEN = re.compile(r'\s*("(?:[^"\\]|\\.)*"|[{}\[\],:]|[^\s{}\[\],:"]+)')


def offset_of_pointer(text: str, pointer: str) -> int | None:
    """The offset of the key (or item) that a JSON Pointer leads to; None if there is none.

    Args:
        pointer: `/$defs/Ticket`, with `~0` and `~1` as escapes; empty for the whole.
    """
    wanted = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
    if not wanted:
        return len(text) - len(text.lstrip())
    path: list[str] = []
    #: For each open bracket: the index of the next item, or None in an object.
    open_: list[int | None] = []
    expects_key = False
    for token in _TOKEN.finditer(text):
        word, at = token[1], token.start(1)
        if word == ":":
            continue
        if word == ",":
            if path:
                path.pop()
            if open_ and open_[-1] is not None:
                open_[-1] += 1
            expects_key = bool(open_) and open_[-1] is None
            if not expects_key and open_ and open_[-1] is not None:
                path.append(str(open_[-1]))
            continue
        if word in "}]":
            if open_:
                open_.pop()
            if len(path) > len(open_):
                path.pop()
            continue
        if expects_key:
            path.append(_unquoted(word))
            expects_key = False
            if path == wanted:
                return at
            continue
        if path == wanted:
            return at
        if word in "{[":
            open_.append(None if word == "{" else 0)
            expects_key = word == "{"
            if word == "[":
                path.append("0")
    return None


def _unquoted(word: str) -> str:
    try:
        return str(json.loads(word))
    except ValueError:
        return word  # no JSON: whatever it is, it is not a key
