"""The workers `merge` and `write_report`: many audits become one, and one becomes a report.

`merge` takes what it gives, so it can combine any number of audits in a tree. Neither adds a claim.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["counted", "merge", "write_report"]

_ORDER = {"high": 0, "medium": 1, "low": 2}


def merge(parts: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The packages and the claims of several audits, each once, the most severe first."""
    packages = sorted({name for part in parts for name in part["packages"]})
    claims = {
        (claim["package"], claim["file"], claim["line"] or 0, claim["check"], claim["claim"]): claim
        for part in parts
        for claim in part["claims"]
    }
    ordered = sorted(claims.items(), key=lambda pair: (_ORDER[pair[1]["severity"]], pair[0]))
    return {"packages": packages, "claims": [claim for _, claim in ordered]}


def write_report(
    environment: Mapping[str, Any],
    found: Mapping[str, Any],
    failed: Sequence[Mapping[str, Any]] = (),
    failed_files: Sequence[Mapping[str, Any]] = (),
) -> dict[str, Any]:
    """The report on an environment: a package of which one audit failed was not audited."""
    not_audited = {
        one["item"]["folder"].removesuffix(".dist-info"): f"{one['mode']}: {one['message']}"
        for one in (*failed_files, *failed)
    }
    claims = found["claims"]
    kinds = Counter(claim["check"] for claim in claims)
    total = len(environment["distributions"])
    packages = len({claim["package"] for claim in claims})
    told = f"{counted(len(claims), 'claim')} about {counted(packages, 'package')}"
    told = told if claims else "no claims"
    return {
        "site": environment["site"],
        "python": environment["python"],
        "installed": total,
        "summary": f"Audited {counted(total, 'installed package')}: {told}.",
        "facts": [{"name": name, "value": str(count)} for name, count in sorted(kinds.items())],
        "claims": claims,
        "audited": [name for name in found["packages"] if name not in not_audited],
        "not_audited": [f"{name} ({why})" for name, why in sorted(not_audited.items())],
    }


def counted(number: int, noun: str) -> str:
    """`1 claim`, `2,000 claims`."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
