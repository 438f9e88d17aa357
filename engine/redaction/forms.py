"""What the value of a secret looks like when a tool gives it back encoded as a whole.

A header in Base64, bytes in hexadecimal, a line of a private key: each is a text of its own that
can be looked for. Forms are made once, when the secrets of a run are known, and hold nothing
shorter than what could not be found by chance. What changes single characters only is
`engine.redaction.escapes`.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator

__all__ = ["MIN_LENGTH", "core_of", "forms", "readable"]

#: A shorter value would be found by chance in ordinary text.
MIN_LENGTH = 4
#: The same for what an encoding makes of a value, and for one line of several.
_MIN_ENCODED = 6
_MIN_LINE = 12
_SPECIAL = re.compile(r"[^A-Za-z0-9]+")


def readable(value: str) -> str:
    """The value as it is read from a file or a pipe, without blanks around it.

    What is not UTF-8 is a lone surrogate in a variable, and a replacement in what was read.
    """
    return _bytes(value).decode(errors="replace").strip()


def core_of(form: str) -> str:
    """The longest part of a text that is written the same in every notation."""
    return max(_SPECIAL.split(form), key=len)


def forms(value: str) -> set[str]:
    """The texts that give a value away; empty for one that is too short."""
    found: set[str] = set()
    for plain in {value, value.strip(), readable(value)}:
        if len(plain) < MIN_LENGTH:
            continue
        found.add(plain)
        found.update(form for form in _encoded(_bytes(plain)) if len(form) >= _MIN_ENCODED)
        found.update(_lines(plain))
    return found


def _bytes(text: str) -> bytes:
    """What a variable of the environment holds."""
    try:
        return text.encode(errors="surrogateescape")
    except UnicodeEncodeError:  # a surrogate that no byte gave rise to
        return text.encode(errors="replace")


def _lines(text: str) -> Iterator[str]:
    """The lines of a value that has several, such as a private key: tools print some of them."""
    lines = text.splitlines()
    if len(lines) > 1:
        yield "\r\n".join(lines)
        for line in map(str.strip, lines):
            if len(line) >= _MIN_LINE and not line.startswith("-----"):
                yield line


def _encoded(data: bytes) -> Iterator[str]:
    """In hexadecimal, and in Base64 wherever it begins in what is encoded.

    `user:SECRET` in a header of HTTP is the usual case. Three bytes make four characters, so there
    are three ways to begin; the first and the last character may hold bits of the neighbours.
    """
    yield data.hex()
    yield data.hex().upper()
    for before in range(3):
        whole = base64.b64encode(bytes(before) + data).decode()
        own = whole[-(-before * 8 // 6) : (before + len(data)) * 8 // 6]
        yield own
        yield own.replace("+", "-").replace("/", "_")
