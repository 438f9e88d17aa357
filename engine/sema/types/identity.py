"""Keys of caches for values that cannot be hashed: schemas, and declarations that hold some.

Only pure functions of values that never change may be kept by such a key.
"""

from __future__ import annotations

from typing import Any

__all__ = ["ByIdentity"]


class ByIdentity:
    """A value as a key, equal to itself alone.

    It keeps the value alive, so that its id is not used again.
    """

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __hash__(self) -> int:
        return id(self.value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ByIdentity) and other.value is self.value
