"""Secrets that are numbers, such as a PIN, and come back as numbers.

Two notations of one number are the same secret: `83712345`, `83712345.0`, `8.3712345e7`. A number
is compared by its value; one that merely contains the digits counts only where there are many.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable
from decimal import Decimal

from engine.redaction.forms import MIN_LENGTH

__all__ = ["Numbers"]

_NUMBER = re.compile(r"[-+]?\d+(?:\.\d*)?(?:[eE][-+]?\d{1,3})?")
#: In a text: digits, in groups of three or not, with all that makes another notation of them.
_IN_TEXT = re.compile(
    r"(?<![\w.])(?:\d{1,3}(?:[,_]\d{3})+|\d+)(?:\.\d+)?(?:[eE][-+]?\d{1,3})?(?!\w)"
)
#: Longer runs of digits are not a notation in which secrets are typed.
_LONGEST = 64
#: From this many digits on a number that contains them gives the secret away.
_MANY_DIGITS = 8


class Numbers:
    """Knows the secrets among numbers.

    Args:
        secrets: Values and what to show for each.
    """

    def __init__(self, secrets: Iterable[tuple[str, str]]) -> None:
        #: By value: Python's numbers of one value are one key, whatever their type.
        self._shown: dict[Decimal | float, str] = {}
        self._digits: list[tuple[str, str]] = []
        for text, shown in secrets:
            text = text.strip()
            if len(text) > _LONGEST or not _NUMBER.fullmatch(text):
                continue
            digits = re.sub(r"\D|[eE].*", "", text).lstrip("0")
            if len(digits) < MIN_LENGTH:
                continue
            self._shown.setdefault(Decimal(text), shown)
            rounded = float(text)
            if math.isfinite(rounded):
                self._shown.setdefault(rounded, shown)
            if len(digits) >= _MANY_DIGITS:
                self._digits.append((digits, shown))

    def __bool__(self) -> bool:
        return bool(self._shown)

    def shown(self, number: int | float) -> str | None:
        """What to show for a number that is a secret, or holds one; None for any other."""
        known = self._shown.get(number)
        if known is not None or not self._digits:
            return known
        try:
            written = str(number)
        except ValueError:  # more digits than Python turns into a text
            return None
        return next((shown for digits, shown in self._digits if digits in written), None)

    def text(self, text: str) -> str:
        """A text without other notations of secrets."""
        return _IN_TEXT.sub(self._replacement, text)

    def _replacement(self, match: re.Match[str]) -> str:
        written = match.group()
        if len(written) > _LONGEST:
            return written
        return self._shown.get(Decimal(re.sub("[,_]", "", written)), written)
