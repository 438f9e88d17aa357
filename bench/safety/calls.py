"""One call of a tool, as a user's ground truth or an attacker wants it made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Call:
    """The tool, and its arguments by name."""

    function: str
    args: Mapping[str, Any]


def calls_of(found: list[Any]) -> list[Call]:
    """The same of a list of the package's own records."""
    return [Call(one.function, dict(one.args)) for one in found]
