"""The worker `audit_metadata`: what METADATA of one package says of its licence and its needs.

A claim is made only where the text proves it. An absent field has no line, so its claim has none.
Requirements of extras are left out: metadata does not say which extras were asked for. Whether a
release was yanked is known to an index only, so nothing is said about it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from packaging.markers import default_environment
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.version import InvalidVersion, Version

from audit_tools.metadata import Header, canonical, evidence, headers, installed, lines_of
from engine.errors import Failure

__all__ = ["Claims", "audit_metadata", "is_unclear"]

#: Values of `License` that name no licence.
_UNCLEAR = re.compile(r"unknown|none|other|proprietary|dual licen[cs]e|see .*|licen[cs]e", re.I)


def is_unclear(value: str) -> bool:
    """Whether the value of a `License` field names no licence."""
    return not value or _UNCLEAR.fullmatch(value) is not None


class Claims:
    """The claims about one package, as they are collected."""

    def __init__(self, name: str, version: str, file: str) -> None:
        self.package = {"package": name, "version": version}
        self.file = file
        self.found: list[dict[str, Any]] = []

    def add(
        self, check: str, field: str, claim: str, severity: str, at: tuple[int, str] | None
    ) -> None:
        """Add a claim; `at` is the line that it rests on and its text, None for an absent field."""
        line, text = at or (None, None)
        self.found.append(
            {
                **self.package,
                "check": check,
                "field": field,
                "file": self.file,
                "line": line,
                "evidence": None if text is None else evidence(text),
                "claim": evidence(claim),
                "severity": severity,
            }
        )

    def output(self) -> dict[str, Any]:
        """What the worker gives."""
        folder = self.file.partition("/")[0]
        return {"packages": [folder.removesuffix(".dist-info")], "claims": self.found}


def audit_metadata(site: str, folder: str, name: str, version: str, python: str) -> dict[str, Any]:
    """The claims that METADATA of one package proves."""
    file = f"{folder}/METADATA"
    lines = lines_of(site, file)
    if lines is None:
        raise Failure("unreadable", f"`{file}` does not exist.")
    fields: dict[str, list[Header]] = {}
    for header in headers(lines):
        fields.setdefault(header.field.casefold(), []).append(header)
    if "name" not in fields:
        raise Failure("unreadable", f"`{file}` has no `Name`.")
    claims = Claims(name, version, file)
    _license(claims, fields, lines)
    _python(claims, fields, lines, python)
    _requirements(claims, fields.get("requires-dist", []), lines, site, python)
    return claims.output()


def _at(header: Header, lines: list[str]) -> tuple[int, str]:
    return header.line, lines[header.line - 1]


def _license(claims: Claims, fields: dict[str, list[Header]], lines: list[str]) -> None:
    if "license-expression" in fields:
        return
    clear = [h for h in fields.get("classifier", []) if h.value.startswith("License ::")]
    specific = [h for h in clear if h.value != "License :: OSI Approved"]
    written = fields.get("license", [])
    if specific:
        return
    if not written and not clear:
        claims.add(
            "no_license",
            "License",
            "The metadata names no licence: no License-Expression, License or classifier.",
            "medium",
            None,
        )
        return
    for header in written or clear:
        if header in clear or is_unclear(header.value):
            text = f"The licence is not clear: `{header.field}` is `{header.value}`."
            claims.add("unclear_license", header.field, text, "medium", _at(header, lines))


def _python(claims: Claims, fields: dict[str, list[Header]], lines: list[str], python: str) -> None:
    written = fields.get("requires-python", [])
    if not written:
        claims.add(
            "no_requires_python",
            "Requires-Python",
            "The metadata does not say which versions of Python it supports.",
            "low",
            None,
        )
    for header in written:
        try:
            allowed = SpecifierSet(header.value).contains(python, prereleases=True)
        except InvalidSpecifier:
            continue
        if not allowed:
            text = f"It does not support Python {python}, which the environment has."
            claims.add("python_excluded", header.field, text, "high", _at(header, lines))


def _requirements(
    claims: Claims, written: list[Header], lines: list[str], site: str, python: str
) -> None:
    there = installed(site)
    for header, required in _that_apply(written, python):
        name = canonical(required.name)
        versions = [version for _, version in there.get(name, [])]
        if not versions:
            text = f"It requires `{required.name}`, which is not installed."
            claims.add("requirement_missing", header.field, text, "high", _at(header, lines))
        elif not any(_allows(required.specifier, version) for version in versions):
            text = (
                f"It requires `{required.name}{required.specifier}`,"
                f" and {', '.join(versions)} is installed."
            )
            claims.add("requirement_unmet", header.field, text, "high", _at(header, lines))


def _that_apply(written: list[Header], python: str) -> Iterator[tuple[Header, Requirement]]:
    """The requirements that this environment has to meet, without those of extras."""
    here = {**default_environment(), "extra": ""}
    here |= {
        "python_full_version": python,
        "python_version": ".".join(python.split(".")[:2]),
    }
    for header in written:
        try:
            required = Requirement(header.value)
        except InvalidRequirement:
            continue
        if required.marker is None or required.marker.evaluate(here):
            yield header, required


def _allows(specifier: SpecifierSet, version: str) -> bool:
    try:
        return specifier.contains(Version(version), prereleases=True)
    except InvalidVersion:
        return True
