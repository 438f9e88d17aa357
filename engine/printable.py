"""Makes external text safe to show in a terminal, a log or a web page.

A terminal obeys escape sequences and control characters, and bidirectional marks make a line read
differently. Text from a file, a model, a worker or a server is shown only through `printable`. JSON
for programs is written through `escaped`, which does not change its meaning.
"""

from __future__ import annotations

import re

__all__ = ["escaped", "printable", "without_controls"]

#: Control characters but tab and newline, line separators, and what turns the direction of the text
#: around.
_UNPRINTABLE = "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
# Compiled when they are first used, and kept by `re`: 2 ms that few commands need.
_MANY = f"{_UNPRINTABLE}+"
_ESCAPES = r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])"


def printable(text: str) -> str:
    """The text without escape sequences, control characters replaced; lines stay lines."""
    if text.isprintable():
        return text
    text = re.sub(_ESCAPES, "", text.replace("\r\n", "\n"))
    return re.sub(_UNPRINTABLE, "\N{REPLACEMENT CHARACTER}", text)


def without_controls(text: str) -> str:
    """The text without escape sequences, a space for any number of control characters."""
    return re.sub(_MANY, " ", re.sub(_ESCAPES, "", text))


def escaped(json: str) -> str:
    r"""JSON in which `\u...` means every such character of a string; it says the same."""
    return re.sub(_UNPRINTABLE, lambda found: f"\\u{ord(found[0]):04x}", json)
