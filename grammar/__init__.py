"""The language as data: the grammar's text, and the parser's tables made from it.

Building the tables from the text costs about 0.3 s, loading them 0.03 s. So they are built once:
by the build hook into `orch.tables` next to the grammar, which wheels carry, or else on first use,
kept in the user's cache folder. A table file begins with a key (hash of grammar and Lark version)
and a digest of the rest; a file that does not fit is ignored, never trusted, never an error.

Imports nothing of the rest of the product.
"""

from __future__ import annotations

import contextlib
import hashlib
import importlib.resources
import io
import os
import tempfile
from functools import cache
from pathlib import Path

import lark

__all__ = ["build_tables", "grammar_text", "load_parser", "make_parser"]

_TABLES = "orch.tables"


@cache
def grammar_text() -> str:
    """The text of `orch.lark`."""
    return importlib.resources.files(__name__).joinpath("orch.lark").read_text("utf-8")


def make_parser(*, strict: bool = False) -> lark.Lark:
    """Build the parser from the grammar's text.

    Args:
        strict: Refuse any conflict and any collision of terminals (needs `interegular`).
    """
    return lark.Lark(
        grammar_text(), parser="lalr", lexer="contextual", strict=strict, maybe_placeholders=False
    )


@cache
def load_parser() -> lark.Lark:
    """The parser, from shipped tables, else from the user's cache, else built and cached.

    The parser keeps no state between parses: threads may share it.
    """
    key = _key()
    shipped = importlib.resources.files(__name__).joinpath(_TABLES)
    cached = _cache_path(key)
    for place in (shipped, cached):
        if place is None:
            continue
        try:
            data = place.read_bytes()
        except OSError:
            continue
        parser = _from_tables(data, key)
        if parser is not None:
            return parser
    parser = make_parser()
    if cached is not None:
        # A read-only or full disk costs the next start 0.3 s, nothing else.
        with contextlib.suppress(OSError):
            _write_atomically(cached, _to_tables(parser, key))
    return parser


def build_tables(path: Path) -> None:
    """Write the tables to `path` (used by the build hook)."""
    _write_atomically(path, _to_tables(make_parser(), _key()))


def _key() -> bytes:
    stamp = f"orch-tables-1\n{lark.__version__}\n{grammar_text()}"
    return hashlib.sha256(stamp.encode()).hexdigest().encode()


def _to_tables(parser: lark.Lark, key: bytes) -> bytes:
    buffer = io.BytesIO()
    parser.save(buffer)
    payload = buffer.getvalue()
    return key + b"\n" + hashlib.sha256(payload).hexdigest().encode() + b"\n" + payload


def _from_tables(data: bytes, key: bytes) -> lark.Lark | None:
    found_key, _, rest = data.partition(b"\n")
    digest, _, payload = rest.partition(b"\n")
    if found_key != key or digest != hashlib.sha256(payload).hexdigest().encode():
        return None
    return lark.Lark.load(io.BytesIO(payload))


def _cache_path(key: bytes) -> Path | None:
    root = os.environ.get("XDG_CACHE_HOME")
    if root and os.path.isabs(root):
        folder = Path(root)
    else:
        try:
            folder = Path.home() / ".cache"
        except RuntimeError:  # no home folder
            return None
    return folder / "orch" / f"{key[:16].decode()}.tables"


def _write_atomically(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
