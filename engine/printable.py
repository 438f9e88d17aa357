"""Text from outside as a terminal, a log or a web page may show it.

A terminal obeys escape sequences and control characters, and marks for the direction of text make a
line read as something else. What a file, a model, a worker or a server wrote is shown only through
`printable`, and JSON that is written for programs through `escaped`, which keeps its meaning.
"""

from __future__ import annotations

import re

__all__ = ["escaped", "printable", "without_controls"]

#: Control characters but tab and newline, line separators, and what turns the direction of the text
#: around.
_UNPRINTABLE = "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
_ONE = re.compile(_UNPRINTABLE)
_MANY = re.compile(f"{_UNPRINTABLE}+")
_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")


def printable(text: str) -> str:
    """The text without escape sequences, control characters replaced; lines stay lines."""
    if text.isprintable():
        return text
    text = _ESCAPES.sub("", text.replace("\r\n", "\n"))
    return _ONE.sub("\N{REPLACEMENT CHARACTER}", text)


def without_controls(text: str) -> str:
    """The text without escape sequences, a space for any number of control characters."""
    return _MANY.sub(" ", _ESCAPES.sub("", text))


def escaped(json: str) -> str:
    r"""JSON in which `\u...` means every such character of a string; it says the same."""
    return _ONE.sub(lambda found: f"\\u{ord(found[0]):04x}", json)
