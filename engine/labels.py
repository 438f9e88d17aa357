"""Labels of runs: `team=x`, given at the start, for listings, sums and spending windows.

A label is a name and a value. What they mean is the user's; here is only what they may look like,
so that one can be written on a command line, in a file and in a table.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from engine.errors import UsageError

__all__ = ["check_labels", "has_labels", "label_text", "parse_label", "parse_labels"]

#: The most labels that a run may have.
MOST = 32
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,62}")
_LONGEST = 200


def parse_label(text: str) -> tuple[str, str]:
    """`team=x` as a name and a value.

    Raises:
        UsageError: It is not a label; the message says why.
    """
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"the label {text!r} is not of the form NAME=VALUE, such as team=search")
    _check(name, value)
    return name, value


def parse_labels(texts: Iterable[str]) -> dict[str, str]:
    """Several labels; the same name twice is an error."""
    found: dict[str, str] = {}
    for text in texts:
        name, value = parse_label(text)
        if name in found:
            raise UsageError(f"the label `{name}` is given twice")
        found[name] = value
    return check_labels(found)


def check_labels(labels: Mapping[str, str]) -> dict[str, str]:
    """Labels that a run may have, sorted by name.

    Raises:
        UsageError: One is not valid, or there are too many.
    """
    if not isinstance(labels, Mapping):
        raise UsageError(
            "`labels` are names and values, such as {'team': 'search'}; an input of that name goes "
            "into `input`"
        )
    if len(labels) > MOST:
        raise UsageError(f"a run has at most {MOST} labels, and {len(labels)} are given")
    for name, value in labels.items():
        if not isinstance(name, str) or not isinstance(value, str):
            raise UsageError(f"labels are strings: {name!r}: {value!r}")
        _check(name, value)
    return dict(sorted(labels.items()))


def has_labels(labels: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
    """Whether a run with `labels` has all that are `wanted`."""
    return all(labels.get(name) == value for name, value in wanted.items())


def label_text(labels: Mapping[str, str]) -> str:
    """Labels as they are written on a command line: `env=prod team=x`."""
    return " ".join(f"{name}={value}" for name, value in labels.items())


def _check(name: str, value: str) -> None:
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"{name!r} is not the name of a label: a letter, then letters, digits, `_`, `.` or `-`"
        )
    if not 1 <= len(value) <= _LONGEST or not value.isprintable() or value != value.strip():
        raise UsageError(
            f"the value of the label `{name}` is not valid: 1 to {_LONGEST} printable characters, "
            "no space at either end"
        )
