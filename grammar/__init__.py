"""The language as data: the grammar's text, and the parsers' tables made from it.

`parse` is the one way from a text to its tree. It takes the fast parser, and Lark is not even
imported; where that finds an error, `parse_error` lets Lark say where it stopped, and why.

Building tables from the grammar costs about 0.4 s, loading them 0.003 s (the fast parser's) and
0.03 s (Lark's). So they are built once: by the build hook into files next to the grammar, which
wheels carry, or else on first use, kept in the user's cache folder. A table file begins with a key
and a digest of the rest; a file that does not fit is ignored, never trusted, never an error.

Imports nothing of the rest of the product.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import pkgutil
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, TypeVar

import msgspec

from grammar.fast import FastParser
from grammar.tables import FORMAT, Tables, derive
from grammar.trees import Token, Tree

if TYPE_CHECKING:
    from pathlib import Path

    import lark
    from lark.exceptions import UnexpectedInput

__all__ = [
    "Token",
    "Tree",
    "build_tables",
    "grammar_text",
    "load_fast_parser",
    "load_parser",
    "make_parser",
    "parse",
    "parse_error",
]

_T = TypeVar("_T")

_LARK_TABLES = "orch.tables"
_FAST_TABLES = "orch.fast"


@cache
def grammar_text() -> str:
    """The text of `orch.lark`."""
    data = pkgutil.get_data(__name__, "orch.lark")
    assert data is not None
    return data.decode()


def parse(text: str) -> Tree | None:
    """The tree of a text, or None if it has an error."""
    return load_fast_parser().parse(text)


def parse_error(text: str) -> UnexpectedInput:
    """What Lark says of a text for which `parse` has no tree."""
    # 25 ms of CPU, and only a text with an error needs it.
    from lark.exceptions import UnexpectedInput

    try:
        load_parser().parse(text)
    except UnexpectedInput as error:
        return error
    raise AssertionError("Lark reads a text that the fast parser does not read")


def make_parser(*, strict: bool = False) -> lark.Lark:
    """Build Lark's parser from the grammar's text.

    Args:
        strict: Refuse any conflict and any collision of terminals (needs `interegular`).
    """
    # 25 ms of CPU, and only a text with an error needs it.
    import lark

    return lark.Lark(
        grammar_text(), parser="lalr", lexer="contextual", strict=strict, maybe_placeholders=False
    )


@cache
def load_fast_parser() -> FastParser:
    """The parser for texts without an error. Threads may share it."""
    return _kept(_FAST_TABLES, _key(), lambda: FastParser(derive(load_parser())), _read, _write)


@cache
def load_parser() -> lark.Lark:
    """Lark's parser, which can say what is wrong with a text.

    It keeps no state between parses: threads may share it.
    """
    return _kept(_LARK_TABLES, _lark_key(), make_parser, _read_lark, _write_lark)


def build_tables(folder: Path) -> list[Path]:
    """Write both table files into a folder (used by the build hook)."""
    parser = make_parser()
    files = {
        folder / _LARK_TABLES: _sealed(_write_lark(parser), _lark_key()),
        folder / _FAST_TABLES: _sealed(_write(FastParser(derive(parser))), _key()),
    }
    for path, data in files.items():
        _write_atomically(str(path), data)
    return list(files)


# ---------------------------------------------------------------- what is in the files


def _key() -> bytes:
    stamp = f"orch-fast-{FORMAT}\n{grammar_text()}"
    return hashlib.sha256(stamp.encode()).hexdigest().encode()


def _lark_key() -> bytes:
    # 25 ms of CPU, and only a text with an error needs it.
    import lark

    stamp = f"orch-tables-1\n{lark.__version__}\n{grammar_text()}"
    return hashlib.sha256(stamp.encode()).hexdigest().encode()


def _write(parser: FastParser) -> bytes:
    return msgspec.msgpack.encode(parser.tables)


def _read(payload: bytes) -> FastParser:
    return FastParser(msgspec.msgpack.decode(payload, type=Tables))


def _write_lark(parser: lark.Lark) -> bytes:
    buffer = io.BytesIO()
    parser.save(buffer)
    return buffer.getvalue()


def _read_lark(payload: bytes) -> lark.Lark:
    # 25 ms of CPU, and only a text with an error needs it.
    import lark

    return lark.Lark.load(io.BytesIO(payload))


# ---------------------------------------------------------------- where the files are


def _kept(
    name: str,
    key: bytes,
    make: Callable[[], _T],
    read: Callable[[bytes], _T],
    write: Callable[[_T], bytes],
) -> _T:
    """A parser from shipped tables, else from the user's cache, else made and cached."""
    cached = _cache_path(name, key)
    shipped = os.path.join(os.path.dirname(__file__), name)
    for place in (shipped, cached):
        with contextlib.suppress(OSError, msgspec.DecodeError):
            payload = None if place is None else _unsealed(_bytes_of(place), key)
            if payload is not None:
                return read(payload)
    parser = make()
    if cached is not None:
        # A read-only or full disk costs the next start 0.4 s, nothing else.
        with contextlib.suppress(OSError):
            _write_atomically(cached, _sealed(write(parser), key))
    return parser


def _sealed(payload: bytes, key: bytes) -> bytes:
    return key + b"\n" + hashlib.sha256(payload).hexdigest().encode() + b"\n" + payload


def _unsealed(data: bytes, key: bytes) -> bytes | None:
    found_key, _, rest = data.partition(b"\n")
    digest, _, payload = rest.partition(b"\n")
    if found_key != key or digest != hashlib.sha256(payload).hexdigest().encode():
        return None
    return payload


def _bytes_of(path: str) -> bytes:
    # Not `pathlib`, which costs 2 ms to import.
    with open(path, "rb") as file:
        return file.read()


def _cache_path(name: str, key: bytes) -> str | None:
    root = os.environ.get("XDG_CACHE_HOME")
    if not root or not os.path.isabs(root):
        home = os.path.expanduser("~")
        if home == "~":  # no home folder
            return None
        root = os.path.join(home, ".cache")
    return os.path.join(root, "orch", key[:16].decode() + os.path.splitext(name)[1])


def _write_atomically(path: str, data: bytes) -> None:
    # 4 ms of CPU, and only the first start writes.
    import tempfile

    folder, name = os.path.split(path)
    os.makedirs(folder, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=folder, prefix=name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
