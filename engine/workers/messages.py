"""The words of a worker's failure: short, printable, and without secrets.

Everything that ends in `Failure.message` and comes from outside the engine (an exception's text,
a program's last words) goes through `clean`, because it is written to the journal, shown to a
model and printed on a terminal.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping
from typing import Any

from engine.errors import Failure
from engine.printable import without_controls
from engine.redaction import Redactor, current

__all__ = ["clean", "crash_of", "exit_words", "last_lines", "redacted"]

_LIMIT = 500


def clean(text: str, scope: Mapping[str, Any], limit: int = _LIMIT) -> str:
    """`text` made fit for a message: secrets of `scope` redacted, printable, at most `limit` long.

    `scope["secret"]`, if it is there, is a mapping from a secret's name to its value.
    """
    text = redacted(text, scope)  # before it is cut: half a secret is not recognised
    text = without_controls(text).strip()
    text = redacted(text, scope)  # once more: colours in the middle of one hide it
    text = text.encode(errors="replace").decode()
    return text if len(text) <= limit else text[: limit - 3] + "..."


def redacted(text: str, scope: Mapping[str, Any]) -> str:
    """`text` without the secrets of `scope`, and those that the run knows besides."""
    known = current()
    secrets = scope.get("secret") or {}
    if not known.names.issuperset(secrets):
        text = Redactor(secrets).text(text)
    return known.text(text)


def crash_of(
    error: BaseException, scope: Mapping[str, Any], limit: int = _LIMIT, base_dir: str = ""
) -> Failure:
    """The failure for an exception of user code.

    A `Failure` stays what it is, with its message made clean; anything else is `crashed`, in
    the form `ValueError: text`.

    Args:
        base_dir: The folder of the user's code: the innermost line in it is said in `raised`.
    """
    if isinstance(error, Failure):
        return Failure(
            str(error.mode),
            clean(str(error.message), scope, limit),
            retryable=bool(error.retryable),
            retry_after_ms=error.retry_after_ms,
            where=clean(str(error.where), scope),
            raised=clean(str(error.raised), scope),
        )
    name = type(error).__name__
    try:
        text = str(error)
    except Exception:
        text = ""
    return Failure(
        "crashed",
        clean(f"{name}: {text}" if text else name, scope, limit),
        raised=clean(_line_of(error, base_dir), scope),
    )


def _line_of(error: BaseException, base_dir: str) -> str:
    """The innermost line of a folder's own code that an exception came through: `tools.py:12`."""
    if not base_dir:
        return ""
    found = ""
    step = error.__traceback__
    while step is not None:
        file = step.tb_frame.f_code.co_filename
        if file.startswith(base_dir + os.sep) and "site-packages" not in file:
            found = f"{os.path.relpath(file, base_dir)}:{step.tb_lineno}"
        step = step.tb_next
    return found


def exit_words(returncode: int) -> str:
    """How a process ended: `exit code 3`, or `killed by SIGKILL` for a negative code."""
    if returncode >= 0:
        return f"exit code {returncode}"
    try:
        name = signal.Signals(-returncode).name
    except ValueError:
        name = f"signal {-returncode}"
    return f"killed by {name}"


def last_lines(stderr: bytes, count: int = 3) -> str:
    """The last lines that are not blank, joined by ` / `; empty if there are none."""
    lines = stderr.decode(errors="replace").splitlines()
    words = [line.strip() for line in lines if line.strip()]
    return " / ".join(words[-count:])
