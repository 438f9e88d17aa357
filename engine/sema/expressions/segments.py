"""A text as one segment of a URL's path, and what a server may read in one.

Servers and the proxies before them decode a path more or less often, and some cut a segment at `;`.
So a text is looked at in each of its readings. Knows nothing of expressions or addresses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

__all__ = ["decodings", "is_dots", "segment"]

#: How often a text is decoded to see what a server may make of it.
_DECODINGS = 8
_UNRESERVED = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")


def segment(text: str) -> str:
    """A text as one segment of a path: all but letters, digits and `-._~` is percent-encoded.

    Raises:
        ValueError: It would be no segment, or a server that decodes early would see several with
            a `.` or `..` among them. The message is half a sentence.
    """
    if not text:
        raise ValueError("is empty, and leaves out a segment of the path")
    for seen in decodings(text):
        if any(map(is_dots, re.split(r"[/\\]", seen))):
            raise ValueError("makes a segment of the path `.` or `..`")
        if re.search(r"[\x00-\x1f\x7f]", seen):
            raise ValueError("has a control character")
    return "".join(
        chr(byte) if byte in _UNRESERVED else f"%{byte:02X}"
        for byte in text.encode("utf-8", "surrogatepass")
    )


def is_dots(text: str) -> bool:
    """Whether a segment means another one; servers of Java cut it at `;`."""
    return text.partition(";")[0].strip() in (".", "..")


def decodings(text: str) -> Iterator[str]:
    """A text, and what it is when it is decoded once, twice, ...

    Raises:
        ValueError: There is no end to it, or characters are hidden in too many bytes.
    """
    yield text
    for _ in range(_DECODINGS):
        raw = unquote_to_bytes(text.encode("utf-8", "surrogatepass"))
        if b"\xc0" in raw or b"\xc1" in raw:
            raise ValueError("is percent-encoded in a way that is not UTF-8")
        decoded = raw.decode(errors="replace")
        if decoded == text:
            return
        text = decoded
        yield text
    raise ValueError("is percent-encoded too many times")
