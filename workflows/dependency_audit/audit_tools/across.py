"""The worker `audit_across`: what no package shows alone, because two of them are involved.

A package that is installed twice (pip left an old folder behind), and console scripts of the same
name: the package that was installed last has won.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from audit_tools.metadata import canonical, folders, headers, installed, lines_of
from audit_tools.package import Claims
from engine.errors import Failure

__all__ = ["audit_across", "scripts_of"]


def audit_across(site: str) -> list[dict[str, Any]]:
    """The claims about more than one package, a list of one."""
    found = [claim for claims in (*_duplicates(site), *_scripts(site)) for claim in claims.found]
    return [{"packages": [], "claims": found}]


def _duplicates(site: str) -> Iterator[Claims]:
    for name, copies in installed(site).items():
        for folder, version in copies if len(copies) > 1 else ():
            claims = Claims(name, version, f"{folder}/METADATA")
            others = ", ".join(other for other, _ in copies if other != folder)
            text = f"The package is installed more than once: {others} is there too."
            for header in _fields(site, folder, "Name"):
                claims.add("duplicate", "Name", text, "high", header)
            yield claims


def _fields(site: str, folder: str, field: str) -> list[tuple[int, str]]:
    try:
        lines = lines_of(site, f"{folder}/METADATA") or []
    except Failure:
        return []
    return [(h.line, lines[h.line - 1]) for h in headers(lines) if h.field == field][:1]


def _scripts(site: str) -> Iterator[Claims]:
    owners: dict[str, list[tuple[str, int, str]]] = {}
    for folder in folders(site):
        for name, number, line in scripts_of(site, folder):
            owners.setdefault(name, []).append((folder, number, line))
    for name, declared in owners.items():
        for folder, number, line in declared:
            package, _, version = folder.removesuffix(".dist-info").partition("-")
            name_of = canonical(package)
            others = sorted({other for other, _, _ in declared if _package(other) != name_of})
            if others:
                claims = Claims(name_of, version, f"{folder}/entry_points.txt")
                text = f"Another package has a script `{name}` too: {', '.join(others)}."
                claims.add("script_shared", "console_scripts", text, "medium", (number, line))
                yield claims


def _package(folder: str) -> str:
    return canonical(folder.removesuffix(".dist-info").partition("-")[0])


def scripts_of(site: str, folder: str) -> list[tuple[str, int, str]]:
    """The console scripts that a package declares: name, line and text of `entry_points.txt`."""
    try:
        lines = lines_of(site, f"{folder}/entry_points.txt") or []
    except Failure:
        return []
    found = []
    section = ""
    for number, line in enumerate(lines, 1):
        text = line.strip()
        if text.startswith("["):
            section = text
        elif section == "[console_scripts]" and "=" in text and not text.startswith(("#", ";")):
            found.append((text.partition("=")[0].strip(), number, line))
    return found
