"""The worker `environment`: which packages are installed, and how many others need each."""

from __future__ import annotations

from collections import Counter
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

from audit_tools.metadata import canonical, folders, headers, lines_of, site_of
from engine.errors import Failure

__all__ = ["environment"]


def environment(environment: str | None = None) -> dict[str, Any]:
    """The packages of an environment, by name.

    A package whose METADATA cannot be read is still listed: its audit says why.
    """
    site = site_of(environment)
    found = []
    needed: Counter[str] = Counter()
    for folder in folders(site.folder):
        name, _, version = folder.removesuffix(".dist-info").partition("-")
        needed.update(_requirements(site.folder, folder))
        found.append({"name": canonical(name), "version": version, "folder": folder})
    return {
        "site": site.folder,
        "python": site.python,
        "distributions": [one | {"needed_by": needed[one["name"]]} for one in found],
    }


def _requirements(site: str, folder: str) -> set[str]:
    try:
        lines = lines_of(site, f"{folder}/METADATA") or []
    except Failure:
        return set()
    found = set()
    for header in headers(lines):
        if header.field == "Requires-Dist":
            try:
                required = Requirement(header.value)
            except InvalidRequirement:
                continue
            if required.marker is None or required.marker.evaluate({"extra": ""}):
                found.add(canonical(required.name))
    return found
