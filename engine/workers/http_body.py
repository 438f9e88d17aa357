"""The body of an HTTP response: read piece by piece, unpacked, and never larger than allowed.

A compressed body is unpacked here and not by the HTTP library, which would unpack each piece as
a whole: a few kilobytes can hold gigabytes. What is counted is what comes out. A body that is
compressed twice, or in a way that was not asked for, is refused.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator

__all__ = ["ACCEPT_ENCODING", "BodyError", "BodyTooLarge", "read_body"]

#: What a request says that it can unpack.
ACCEPT_ENCODING = "gzip, deflate"

_GZIP = ("gzip", "x-gzip")


class BodyTooLarge(Exception):
    """There is more of it than allowed."""


class BodyError(Exception):
    """It cannot be unpacked; the message is half a sentence."""


async def read_body(pieces: AsyncIterator[bytes], encoding: str, max_bytes: int) -> bytes:
    """The whole body, unpacked.

    Args:
        pieces: As they come from the network.
        encoding: The `Content-Encoding` header; empty for none.
        max_bytes: How much may come out.

    Raises:
        BodyTooLarge: As soon as there is more.
        BodyError: It is not what `encoding` says, or ends too early.
    """
    unpack = _unpacker(encoding)
    chunks: list[bytes] = []
    room = max_bytes
    async for piece in pieces:
        chunk = piece if unpack is None else unpack.feed(piece, room)
        room -= len(chunk)
        if room < 0:
            raise BodyTooLarge
        chunks.append(chunk)
    if unpack is not None:
        unpack.finish()
    return b"".join(chunks)


def _unpacker(encoding: str) -> _Unpacker | None:
    name = encoding.strip().lower()
    if name in ("", "identity"):
        return None
    if name in _GZIP:
        return _Unpacker(name, zlib.MAX_WBITS | 16)
    if name == "deflate":
        return _Unpacker(name, zlib.MAX_WBITS)
    raise BodyError(f"is packed in a way that was not asked for ({name[:40]})")


class _Unpacker:
    def __init__(self, name: str, window_bits: int) -> None:
        self._name = name
        self._stream = zlib.decompressobj(window_bits)
        self._begun = False

    def feed(self, piece: bytes, room: int) -> bytes:
        """What comes out of a piece, at most one byte more than there is room for."""
        try:
            chunk = self._stream.decompress(piece, room + 1)
        except zlib.error as error:
            if self._begun or self._name != "deflate":
                raise BodyError(f"is no {self._name} data ({error})") from None
            # Some servers leave zlib's header out, though the standard wants it.
            self._stream = zlib.decompressobj(-zlib.MAX_WBITS)
            self._begun = True
            return self.feed(piece, room)
        self._begun = True
        return chunk

    def finish(self) -> None:
        if self._begun and not self._stream.eof:
            raise BodyError("ends too early")
