"""The worker `audit_files`: are the files there that RECORD lists, and as it lists them?

Sizes are compared always, contents only with `hashes`, since that reads every file. Compiled files
are left out: Python writes them again. RECORD may name files outside the environment (scripts, and
whatever a package chose), so only regular files are opened, and their contents are never shown.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import stat
from pathlib import Path
from typing import Any

from audit_tools.metadata import lines_of
from audit_tools.package import Claims

__all__ = ["audit_files", "record_rows"]

#: Claims of one kind about one package, at most; one more says how many there are.
_MOST = 5

_HASHES = frozenset({"sha256", "sha384", "sha512"})


def audit_files(
    site: str, folder: str, name: str, version: str, hashes: bool = False
) -> dict[str, Any]:
    """The claims that RECORD of one package proves, together with the files."""
    file = f"{folder}/RECORD"
    claims = Claims(name, version, file)
    lines = lines_of(site, file)
    if lines is None:
        text = "There is no RECORD: the files of the package are not known."
        claims.add("no_record", "RECORD", text, "medium", None)
        return claims.output()
    told = {"file_missing": 0, "file_changed": 0}
    for number, path, digest, size in record_rows(lines):
        problem = problem_of(site, path, digest if hashes else "", size)
        if problem is None:
            continue
        check, text = problem
        told[check] += 1
        if told[check] <= _MOST:
            severity = "high" if path.endswith(".py") else "medium"
            claims.add(check, "RECORD", f"`{path}` {text}.", severity, (number, lines[number - 1]))
    return claims.output()


def record_rows(lines: list[str]) -> list[tuple[int, str, str, int | None]]:
    """Line, path, hash (`""` for none) and size in bytes of each file of a RECORD."""
    rows = []
    for number, line in enumerate(lines, 1):
        row = next(csv.reader([line]), [])
        if len(row) == 3 and row[0] and not row[0].endswith((".pyc", ".pyo")):
            size = int(row[2]) if row[2].isascii() and row[2].isdigit() else None
            rows.append((number, row[0], row[1], size))
    return rows


def problem_of(site: str, path: str, digest: str, size: int | None) -> tuple[str, str] | None:
    """What is wrong with one file of a RECORD: the check that fails and the end of a sentence."""
    target = Path(site, path)
    try:
        found = target.stat()
    except (OSError, ValueError):
        return "file_missing", "is in RECORD and does not exist"
    if not stat.S_ISREG(found.st_mode):
        return "file_changed", "is in RECORD as a file and is not a regular file"
    if size is not None and found.st_size != size:
        return "file_changed", f"has {found.st_size:,} bytes, not {size:,}"
    algorithm, _, expected = digest.partition("=")
    if algorithm in _HASHES and expected:
        with target.open("rb") as opened:
            actual = hashlib.file_digest(opened, algorithm).digest()
        if base64.urlsafe_b64encode(actual).rstrip(b"=").decode() != expected:
            return "file_changed", f"has another content: its {algorithm} is not that of RECORD"
    return None
