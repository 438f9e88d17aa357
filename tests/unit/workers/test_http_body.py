"""Bodies are whole or refused, however they are packed and wherever the network cuts them."""

from __future__ import annotations

import gzip
import itertools
import zlib
from collections.abc import AsyncIterator, Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.workers.http_body import BodyError, BodyTooLarge, read_body

TEXTS = st.lists(st.binary(max_size=60), min_size=1, max_size=4)
CUTS = st.lists(st.integers(0, 400), max_size=6)
STEADY = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def raw_deflate(data: bytes) -> bytes:
    return zlib.compress(data, wbits=-15)


def read(packed: bytes, encoding: str, max_bytes: int = 10_000, cuts: list[int] = []) -> bytes:  # noqa: B006
    places = [0, *sorted(cut % (len(packed) + 1) for cut in cuts), len(packed)]

    async def pieces() -> AsyncIterator[bytes]:
        for start, end in itertools.pairwise(places):
            yield packed[start:end]

    reading = read_body(pieces(), encoding, max_bytes)
    try:
        reading.send(None)
    except StopIteration as done:
        return bytes(done.value)
    raise AssertionError("nothing here waits")


@STEADY
@given(TEXTS, CUTS, st.integers(0, 5))
def test_every_member_of_a_gzip_body_counts(texts: list[bytes], cuts: list[int], pad: int) -> None:
    packed = b"".join(gzip.compress(text) + bytes(pad) for text in texts)
    assert read(packed, "gzip", sum(map(len, texts)), cuts) == b"".join(texts)


@pytest.mark.parametrize("pack", [zlib.compress, raw_deflate])
@STEADY
@given(st.binary(max_size=200), CUTS)
def test_deflate_is_read_with_and_without_its_header(
    pack: Callable[[bytes], bytes], text: bytes, cuts: list[int]
) -> None:
    assert read(pack(text), "deflate", cuts=cuts) == text


@pytest.mark.parametrize(
    ("encoding", "pack"),
    [("gzip", gzip.compress), ("deflate", zlib.compress), ("deflate", raw_deflate)],
)
@STEADY
@given(st.binary(min_size=1, max_size=200), CUTS, st.integers(1, 300))
def test_a_body_that_is_cut_short_is_refused(
    encoding: str, pack: Callable[[bytes], bytes], text: bytes, cuts: list[int], lost: int
) -> None:
    packed = pack(text)
    with pytest.raises(BodyError, match="ends too early"):
        read(packed[: max(1, len(packed) - lost)], encoding, cuts=cuts)


def test_a_second_member_that_is_cut_short_is_refused() -> None:
    packed = gzip.compress(b"line one\n") + gzip.compress(b"line two\n")
    assert read(packed, "gzip") == b"line one\nline two\n"
    for end in range(len(gzip.compress(b"line one\n")) + 1, len(packed)):
        with pytest.raises(BodyError):
            read(packed[:end], "gzip")


@pytest.mark.parametrize(
    ("encoding", "packed"),
    [
        ("gzip", gzip.compress(b"1", mtime=0) + b"more"),
        ("gzip", gzip.compress(b"1", mtime=0) + b"\0\0m"),
        ("gzip", gzip.compress(b"1", mtime=0) + b"\0\0more"),
        ("deflate", zlib.compress(b"1") + b"m"),
        ("deflate", zlib.compress(b"1") + zlib.compress(b"2")),
    ],
)
@pytest.mark.parametrize("cuts", [[], [1, 2, 3, 4], list(range(40))], ids=len)
def test_what_stands_behind_the_end_is_refused(
    encoding: str, packed: bytes, cuts: list[int]
) -> None:
    with pytest.raises(BodyError, match="has something behind its end"):
        read(packed, encoding, cuts=cuts)


@pytest.mark.parametrize(
    "packed",
    [gzip.compress(bytes(600)) * 2, gzip.compress(b"") * 60_000, b"\x1f\x8b" + bytes(3_000_000)],
    ids=["two members", "members of nothing", "a header without end"],
)
def test_all_members_together_are_bounded(packed: bytes) -> None:
    with pytest.raises((BodyTooLarge, BodyError)):
        read(packed, "gzip", 1000)


def test_members_together_may_be_as_large_as_allowed() -> None:
    packed = gzip.compress(bytes(600)) + gzip.compress(bytes(400))
    assert read(packed, "gzip", 1000) == bytes(1000)
    with pytest.raises(BodyTooLarge):
        read(packed, "gzip", 999)


def test_an_empty_body_is_empty() -> None:
    assert read(b"", "gzip") == read(b"", "deflate") == read(b"", "") == b""
