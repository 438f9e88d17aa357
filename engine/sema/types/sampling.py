"""The beginning of a large value, to look for what is wrong with it.

To explain why a value does not fit costs a hundred microseconds and kilobytes for each thing that
is wrong, and a list of a million may be wrong a million times. So only so many values are looked
at, in order; what is left out is remembered, for nothing may be said of a list that was cut here.
Whether a value fits at all is never asked of its beginning.
"""

from __future__ import annotations

from typing import Any

__all__ = ["Sample"]

#: How many values are looked at, and how deep.
MOST_VALUES = 2_000
MAX_DEPTH = 128


class Sample:
    """The beginning of a JSON value.

    Attributes:
        value: As much of it as is looked at; the very same object where that is all of it.

    Raises:
        RecursionError: It is nested too deeply.
    """

    def __init__(self, value: Any) -> None:
        self._left = MOST_VALUES
        #: What was cut, by the id of what stands for it. Those are kept alive by `value`.
        self._cut: dict[int, Any] = {}
        #: Ids of what holds something that was cut, at any depth.
        self._around: set[int] = set()
        self.value = self._part(value, 0)

    @property
    def is_whole(self) -> bool:
        """Whether nothing was left out."""
        return not self._around

    def whole_of(self, part: Any) -> Any:
        """The list or object that a part of the sample is the beginning of, or the part itself."""
        return self._cut.get(id(part), part)

    def was_cut(self, part: Any) -> bool:
        """Whether items of this very list or object were left out."""
        return id(part) in self._cut

    def lacks(self, part: Any) -> bool:
        """Whether something was left out of a value, at any depth."""
        return id(part) in self._around

    def _part(self, value: Any, depth: int) -> Any:
        self._left -= 1
        if depth > MAX_DEPTH:
            raise RecursionError(f"it is nested deeper than {MAX_DEPTH} levels")
        if isinstance(value, dict):
            kept: Any = {}
            for key, item in value.items():
                if self._left <= 0:
                    break
                kept[key] = self._part(item, depth + 1)
            inner = kept.values()
        elif isinstance(value, list):
            kept = []
            for item in value:
                if self._left <= 0:
                    break
                kept.append(self._part(item, depth + 1))
            inner = kept
        else:
            return value
        if len(kept) < len(value):
            self._cut[id(kept)] = value
        elif not any(id(item) in self._around for item in inner):
            return value
        self._around.add(id(kept))
        return kept
