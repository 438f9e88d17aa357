"""What the value of a secret looks like when a tool gives it back.

Tools echo what they were given in the encoding they happen to speak: a URL in an error message, a
header in Base64, a quoted string of JSON. Each of these is a text of its own that can be looked
for. Forms are made once, when the secrets of a run are known, and hold nothing shorter than what
could not be found by chance.
"""

from __future__ import annotations

import base64
import html
import json
from collections.abc import Iterator
from urllib.parse import quote, quote_plus

__all__ = ["MIN_LENGTH", "forms"]

#: A shorter value would be found by chance in ordinary text.
MIN_LENGTH = 4
#: The same for what an encoding makes of a value, and for one line of several.
_MIN_ENCODED = 6
_MIN_LINE = 12
#: What careful encoders of JSON escape, though JSON does not ask for it.
_ESCAPED = frozenset("+<>&'\"`")


def forms(value: str) -> set[str]:
    """The texts that give a value away; empty for one that is too short."""
    # What is no UTF-8 in a variable is a lone surrogate here, and a replacement in what was read.
    readable = _bytes(value).decode(errors="replace")
    found: set[str] = set()
    for plain in {value, readable, value.strip(), readable.strip()}:
        if len(plain) < MIN_LENGTH:
            continue
        found.add(plain)
        found.update(form for form in _encoded(plain) if len(form) >= MIN_LENGTH)
        found.update(_lines(plain))
    return found


def _lines(text: str) -> Iterator[str]:
    """The lines of a value that has several, such as a private key: tools print some of them."""
    lines = text.splitlines()
    if len(lines) > 1:
        yield "\r\n".join(lines)
        for line in map(str.strip, lines):
            if len(line) >= _MIN_LINE and not line.startswith("-----"):
                yield line


def _encoded(text: str) -> Iterator[str]:
    yield from _quoted_for_urls(text)
    yield from _quoted_in_texts(text)
    data = _bytes(text)
    for form in (data.hex(), data.hex().upper(), *_in_base64(data)):
        if len(form) >= _MIN_ENCODED:
            yield form


def _bytes(text: str) -> bytes:
    """What a variable of the environment holds."""
    try:
        return text.encode(errors="surrogateescape")
    except UnicodeEncodeError:  # a surrogate that no byte gave rise to
        return text.encode(errors="replace")


def _quoted_for_urls(text: str) -> Iterator[str]:
    data = _bytes(text)
    for once in (quote(data, safe=""), quote(data), quote_plus(data)):
        yield once
        yield quote(once, safe="")  # an address in an address
        if "%" in once:
            yield _lower(once)


def _lower(quoted: str) -> str:
    """The same with the digits of escapes in lower case."""
    first, *rest = quoted.split("%")
    return first + "".join(f"%{part[:2].lower()}{part[2:]}" for part in rest)


def _quoted_in_texts(text: str) -> Iterator[str]:
    """JSON, Python, shells and markup."""
    for escape_all in (False, True):
        once = json.dumps(text, ensure_ascii=escape_all)[1:-1]
        yield once
        yield json.dumps(once)[1:-1]  # JSON in a string of JSON
        yield once.replace("/", "\\/")
    for pattern in ("\\u{:04x}", "\\u{:04X}"):
        yield "".join(pattern.format(ord(c)) if c in _ESCAPED else c for c in text)
    yield repr(text)[1:-1]
    yield text.replace("'", "'\\''")
    yield text.replace("'", "'\"'\"'")
    marked = html.escape(text)
    yield marked
    yield marked.replace("&#x27;", "&#39;")
    yield html.escape(text, quote=False)


def _in_base64(data: bytes) -> Iterator[str]:
    """The characters that depend on these bytes alone, wherever they begin in what is encoded.

    `user:SECRET` in a header of HTTP is the usual case. Three bytes make four characters, so there
    are three ways to begin; the first and the last character may hold bits of the neighbours.
    """
    for before in range(3):
        whole = base64.b64encode(bytes(before) + data).decode()
        own = whole[-(-before * 8 // 6) : (before + len(data)) * 8 // 6]
        yield own
        yield own.replace("+", "-").replace("/", "_")
