"""How long a server asks to wait: the header `Retry-After` of HTTP, in all its forms.

Seconds, whole or with a fraction, or a date. A date is told by the server's own clock (`Date`), so
that a clock that is wrong makes no wait longer. What is none of these is no answer.
"""

from __future__ import annotations

import math
from email.utils import parsedate_to_datetime

from engine import clock

__all__ = ["retry_after_ms"]

_MAX_S = 86_400.0


def retry_after_ms(asked: str, date: str = "") -> int | None:
    """The wait in milliseconds, at most a day; None where the server asks for none.

    Args:
        asked: The value of `Retry-After`, or an empty string.
        date: The value of `Date`.
    """
    wait_s = _seconds(asked.strip())
    if wait_s is None:
        until = _moment(asked)
        if until is None:
            return None
        now = _moment(date)
        wait_s = until - (clock.wall_s() if now is None else now)
    return int(min(max(0.0, wait_s), _MAX_S) * 1000)


def _seconds(text: str) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _moment(text: str) -> float | None:
    try:
        return parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
