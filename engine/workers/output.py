"""Keeps standard output for the result alone.

A function of the user's may print, and so may a C library or a program it starts. If standard
output must hold one thing (the result of `orch run`, the reply of an isolated call), the
*descriptor* is moved away. Then only the holder of the moved one can write to it; replacing
`sys.stdout` would not reach C libraries and programs. Only the owner of a process may do this: the
command line and the isolated child, never the library in someone else's program.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

__all__ = ["reserved_stdout"]


@contextmanager
def reserved_stdout() -> Iterator[TextIO]:
    """Give the real standard output to the caller, and standard error to everyone else.

    Inside, descriptor 1 and `sys.stdout` lead to standard error; the stream that is yielded
    leads to where standard output led. Where `sys.stdout` is not a file (a test that captures it),
    only `sys.stdout` is replaced.
    """
    original = sys.stdout
    original.flush()
    try:
        is_real = original.fileno() == 1
    except (OSError, ValueError, AttributeError):
        is_real = False
    if not is_real:
        sys.stdout = sys.stderr
        try:
            yield original
        finally:
            sys.stdout = original
        return
    encoding = original.encoding
    moved = os.dup(1)
    try:
        os.dup2(2, 1)
        sys.stdout = sys.stderr
        with open(moved, "w", encoding=encoding, errors="replace", closefd=False) as stream:
            yield stream
    finally:
        sys.stdout = original
        os.dup2(moved, 1)
        os.close(moved)
