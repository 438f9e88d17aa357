"""The body of an HTTP response: read piece by piece, unpacked, and never larger than allowed.

A compressed body is unpacked here and not by the HTTP library, which would unpack each piece as
a whole: a few kilobytes can hold gigabytes. What is counted is what comes out.

A body is given whole or not at all. A gzip body may have several members (RFC 1952), as programs
write them that append to a log, and all of them count. What is cut short, has something behind its
end, is compressed twice, or in a way that was not asked for, is refused. That a body has the length
it was announced with is for the HTTP library to see.
"""

from __future__ import annotations

import zlib
from collections.abc import AsyncIterator, Iterator

__all__ = ["ACCEPT_ENCODING", "BodyError", "BodyTooLarge", "read_body"]

#: What a request says that it can unpack.
ACCEPT_ENCODING = "gzip, deflate"

_GZIP = ("gzip", "x-gzip")
_GZIP_MARK = b"\x1f\x8b"

#: How much may come in, in bytes and as a multiple of what may come out: a stream can continue
#: forever and give nothing.
_PACKED_BYTES = 1 << 20
_PACKED_TIMES = 8
#: What is unpacked at once, in bytes: what is behind a member is copied.
_AT_ONCE = 1 << 14


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
        BodyError: It is not what `encoding` says, or ends too early or too late.
    """
    unpack = _unpacker(encoding)
    chunks: list[bytes] = []
    room = max_bytes
    packed_room = _PACKED_BYTES + _PACKED_TIMES * max_bytes
    async for piece in pieces:
        packed_room -= len(piece)
        if packed_room < 0:
            raise BodyTooLarge
        for chunk in (piece,) if unpack is None else unpack.feed(piece, room):
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
    if name in _GZIP or name == "deflate":
        return _Unpacker(name)
    raise BodyError(f"is packed in a way that was not asked for ({name[:40]})")


class _Unpacker:
    """Unpacks the pieces of one body."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._stream: zlib._Decompress | None = None
        self._held = b""  # the beginning of a stream, until it is long enough to tell what it is
        self._members = 0

    def feed(self, piece: bytes, room: int) -> Iterator[bytes]:
        """What comes out of a piece; at most one byte more than there is room for.

        Args:
            room: How much may still come out.
        """
        for start in range(0, len(piece), _AT_ONCE):
            for chunk in self._feed(piece[start : start + _AT_ONCE], room):
                room -= len(chunk)
                yield chunk

    def _feed(self, rest: bytes, room: int) -> Iterator[bytes]:
        while rest:
            if self._stream is None:
                rest = self._begin(self._held + rest)
                if self._stream is None:
                    return
            try:
                chunk = self._stream.decompress(rest, room + 1)
            except zlib.error as error:
                raise BodyError(f"is no {self._name} data ({error})") from None
            room -= len(chunk)
            yield chunk
            if not self._stream.eof:
                return  # With room left all of it was taken in; without, no more is read.
            rest, self._stream = self._stream.unused_data, None
            self._members += 1

    def finish(self) -> None:
        """See that the body has ended where it should.

        Raises:
            BodyError: It has not.
        """
        if self._stream is not None or (self._held and not self._members):
            raise BodyError("ends too early")
        if self._held:
            raise BodyError("has something behind its end")

    def _begin(self, rest: bytes) -> bytes:
        """Begin a stream with these bytes, if they are enough to tell; gives them back then."""
        if self._members and self._name == "deflate":
            raise BodyError("has something behind its end")
        if self._members:
            rest = rest.lstrip(b"\0")  # padding, which `gzip` passes over as well
        self._held = rest
        if len(rest) < 2:
            return b""
        if self._members and rest[:2] != _GZIP_MARK:
            raise BodyError("has something behind its end")
        self._held = b""
        self._stream = zlib.decompressobj(self._window_bits(rest))
        return rest

    def _window_bits(self, rest: bytes) -> int:
        if self._name in _GZIP:
            return zlib.MAX_WBITS | 16
        # Some servers leave zlib's header out, though the standard wants it.
        has_header = rest[0] & 0x0F == 8 and int.from_bytes(rest[:2], "big") % 31 == 0
        return zlib.MAX_WBITS if has_header else -zlib.MAX_WBITS
