"""One installed distribution, read from its `.dist-info` folder, with the lines of what it says.

`importlib.metadata` reads names, versions and entry points; what it does not say is the line that a
statement is on, so headers are found here. Nothing is read that is not a regular file in a
`.dist-info` folder of the environment, whatever name a caller gives.
"""

from __future__ import annotations

import re
import sys
import sysconfig
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from packaging.utils import canonicalize_name

from engine.errors import Failure

__all__ = [
    "Header",
    "Site",
    "canonical",
    "evidence",
    "folders",
    "headers",
    "installed",
    "lines_of",
    "site_of",
]

#: Characters of a line that a report quotes, at most.
EVIDENCE_CHARS = 200

#: A larger file is not read.
MAX_BYTES = 16 * 1024 * 1024

_FOLDER = re.compile(r"[^/\\\0]+\.dist-info")
_HEADER = re.compile(r"([A-Za-z0-9-]+):[ \t]*(.*)")
_VERSION_OF_PYTHON = re.compile(r"version(?:_info)?\s*=\s*(\d+\.\d+(?:\.\d+)?)")


@dataclass(frozen=True)
class Header:
    """A field of METADATA: its value without continuation lines, and its line, from 1."""

    field: str
    value: str
    line: int


@dataclass(frozen=True)
class Site:
    """A site-packages folder, and the version of the Python that it belongs to."""

    folder: str
    python: str


def site_of(environment: str | None) -> Site:
    """The packages of an environment.

    Args:
        environment: A virtual environment or its site-packages folder; None: that of this process.

    Raises:
        Failure: `no_environment`: there is none.
    """
    running = ".".join(map(str, sys.version_info[:3]))
    if environment is None:
        return Site(sysconfig.get_path("purelib"), running)
    root = Path(environment).resolve()
    if root.is_dir() and (root.name in ("site-packages", "dist-packages") or _has_packages(root)):
        return Site(str(root), _python_of(root) or running)
    found = sorted(root.glob("lib/python3*/site-packages"))
    found = found or sorted(root.glob("Lib/site-packages"))
    if not found:
        raise Failure("no_environment", f"There are no installed packages in `{environment}`.")
    return Site(str(found[-1]), _python_of(found[-1]) or running)


def _has_packages(folder: Path) -> bool:
    return next(folder.glob("*.dist-info"), None) is not None


def _python_of(site: Path) -> str | None:
    """The version that made the environment, as far as it says so."""
    for parent in list(site.parents)[:3]:
        config = parent / "pyvenv.cfg"
        if config.is_file():
            written = _VERSION_OF_PYTHON.search(config.read_text("utf-8", "replace"))
            if written:
                return written[1]
    named = re.fullmatch(r"python(\d+\.\d+)", site.parent.name)
    if named is None or sys.version.startswith(f"{named[1]}."):
        return None
    return f"{named[1]}.0"


def folders(site: str) -> list[str]:
    """The `.dist-info` folders of an environment, by name."""
    try:
        return sorted(entry.name for entry in Path(site).iterdir() if _is_info(entry))
    except OSError as error:
        raise Failure("no_environment", f"`{site}` cannot be listed: {error.strerror}.") from error


def _is_info(entry: Path) -> bool:
    return _FOLDER.fullmatch(entry.name) is not None and entry.is_dir()


def lines_of(site: str, file: str) -> list[str] | None:
    """The lines of a file such as `lark-1.3.1.dist-info/METADATA`; None if there is none.

    Raises:
        Failure: `unreadable`: it is not in a `.dist-info` folder, or cannot be read as UTF-8.
    """
    folder, _, name = file.partition("/")
    if not _FOLDER.fullmatch(folder) or not name or "/" in name or name in (".", ".."):
        raise Failure("unreadable", f"`{file}` is not a file of a `.dist-info` folder.")
    path = Path(site, folder, name)
    try:
        if not path.exists():
            return None
        if not path.is_file() or path.stat().st_size > MAX_BYTES:
            raise Failure("unreadable", f"`{file}` is not a regular file of at most 16 MiB.")
        return path.read_text("utf-8").split("\n")
    except OSError as error:
        raise Failure("unreadable", f"`{file}` cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise Failure("unreadable", f"`{file}` is not UTF-8.") from error


def headers(lines: list[str]) -> Iterator[Header]:
    """The fields of METADATA; they end at the first empty line.

    A line of spaces is not empty: a licence with paragraphs has some, and fields follow it.
    """
    for number, line in enumerate(lines, 1):
        if not line:
            return
        matched = _HEADER.match(line)
        if matched is not None:
            yield Header(matched[1], matched[2].strip(), number)


def canonical(name: str) -> str:
    """A name as packages are compared by: `Foo.Bar` and `foo-bar` are the same."""
    return str(canonicalize_name(name))


def installed(site: str) -> dict[str, list[tuple[str, str]]]:
    """The folders and versions of each package that is installed, by its canonical name."""
    stamp = Path(site).stat().st_mtime_ns
    return _installed(site, stamp)


@lru_cache(maxsize=4)
def _installed(site: str, _stamp: int) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for folder in folders(site):
        # pip names the folder after the package, so the list needs no file to be opened.
        name, _, version = folder.removesuffix(".dist-info").partition("-")
        found.setdefault(canonical(name), []).append((folder, version))
    return found


def evidence(line: str) -> str:
    """A line as a report quotes it: space collapsed, at most `EVIDENCE_CHARS` characters."""
    return " ".join(line.split())[:EVIDENCE_CHARS].rstrip()
