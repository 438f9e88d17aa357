"""References between tasks: `{"$from": "a1", "at": "/items"}` in place of a value.

A reference is an object with exactly `$from` (a task's id) and optionally `at` (a JSON Pointer,
RFC 6901). `{"$literal": value}` means `value` itself, whatever it looks like. Nothing else
is ever taken for a reference: not `"$5 million"`, not `{"from": ...}`, not `{{`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["PointerError", "Reference", "find_references", "follow", "resolve"]


class PointerError(Exception):
    """A JSON Pointer leads nowhere; the message says where it stopped."""


class Reference:
    """One reference found in an input; `path` is where it is, as a JSON Pointer."""

    __slots__ = ("at", "path", "task")

    def __init__(self, task: str, at: str, path: str) -> None:
        self.task = task
        self.at = at
        self.path = path


def _is_reference(value: dict[str, Any]) -> bool:
    size = len(value)
    return (
        0 < size <= 2
        and isinstance(value.get("$from"), str)
        and (size == 1 or isinstance(value.get("at"), str))
    )


def _special(value: Any) -> bool:
    """Whether a value holds a reference or a `$literal` anywhere."""
    if isinstance(value, dict):
        if ("$from" in value and _is_reference(value)) or (len(value) == 1 and "$literal" in value):
            return True
        for item in value.values():
            if isinstance(item, (dict, list)) and _special(item):
                return True
    elif isinstance(value, list):
        for item in value:
            if isinstance(item, (dict, list)) and _special(item):
                return True
    return False


def find_references(value: Any) -> tuple[bool, list[Reference]]:
    """Whether `resolve` would change anything, and the references in `value`, in order.

    The common input holds neither, and is passed over without any allocation.
    """
    if not _special(value):
        return False, []
    found: list[Reference] = []
    _collect(value, "", found)
    return True, found


def _collect(value: Any, path: str, found: list[Reference]) -> None:
    if isinstance(value, dict):
        if _is_reference(value):
            found.append(Reference(value["$from"], value.get("at", ""), path))
            return
        if len(value) == 1 and "$literal" in value:
            return
        for key, item in value.items():
            if isinstance(item, (dict, list)):
                escaped = key.replace("~", "~0").replace("/", "~1")
                _collect(item, f"{path}/{escaped}", found)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            if isinstance(item, (dict, list)):
                _collect(item, f"{path}/{index}", found)


def resolve(value: Any, output_of: Callable[[str], Any]) -> Any:
    """A copy of `value` with every reference replaced by what it points at.

    What comes in through a reference is a value: it is not searched for references again.

    Args:
        output_of: The output of a task that is done.

    Raises:
        PointerError: A pointer leads nowhere in the output it is applied to.
    """
    if isinstance(value, dict):
        if _is_reference(value):
            return follow(output_of(value["$from"]), value.get("at", ""), value["$from"])
        if len(value) == 1 and "$literal" in value:
            return value["$literal"]
        return {key: resolve(item, output_of) for key, item in value.items()}
    if isinstance(value, list):
        return [resolve(item, output_of) for item in value]
    return value


def follow(value: Any, pointer: str, origin: str = "the value") -> Any:
    """What a JSON Pointer (RFC 6901) leads to.

    Raises:
        PointerError: It leads nowhere.
    """
    if pointer == "":
        return value
    if not pointer.startswith("/"):
        raise PointerError(f'`{pointer}` is not a JSON Pointer: it must start with "/"')
    walked = ""
    for raw in pointer[1:].split("/"):
        part = raw.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict):
            if part not in value:
                raise PointerError(f"{origin}{walked} has no key `{part}`")
            value = value[part]
        elif isinstance(value, list):
            # isdecimal alone admits other scripts' digits, which RFC 6901 does not.
            if not (part.isascii() and part.isdecimal()) or (part != "0" and part[0] == "0"):
                raise PointerError(f"{origin}{walked} is a list: `{part}` is not an index of it")
            # Python refuses to read numbers of thousands of digits.
            if len(part) > 18 or int(part) >= len(value):
                raise PointerError(f"{origin}{walked} has {len(value)} items, no item {part[:40]}")
            value = value[int(part)]
        else:
            raise PointerError(f"{origin}{walked} is neither object nor list")
        walked += f"/{raw}"
    return value
