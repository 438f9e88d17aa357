"""How long an answer over HTTP asks to wait: `retry-after-ms`, or RFC 9110's `Retry-After`.

Seconds, whole or with a fraction, or a date. A date is measured from the answer's own `Date`, so
that a wrong clock makes no wait longer; without one, from the clock of this machine. A number
below zero is not valid, and what is not valid is no answer: the caller waits as long as it would
have. No wait is longer than a day.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from engine import clock

__all__ = ["retry_after_ms"]

_MAX_S = 86_400.0


def retry_after_ms(headers: Mapping[str, str]) -> int | None:
    """The wait in milliseconds; None where the answer asks for none.

    Args:
        headers: Those of the answer; case does not matter.
    """
    named = {str(name).lower(): str(value) for name, value in headers.items()}
    wait_s = _seconds(named.get("retry-after-ms", ""))
    if wait_s is not None:
        wait_s /= 1000
    else:
        wait_s = _wait_s(named.get("retry-after", ""), named.get("date", ""))
    return None if wait_s is None else round(min(max(0.0, wait_s), _MAX_S) * 1000)


def _wait_s(asked: str, date: str) -> float | None:
    seconds = _seconds(asked)
    if seconds is not None:
        return seconds
    until = _moment(asked)
    if until is None:
        return None
    now = _moment(date)
    return until - (clock.wall_s() if now is None else now)


def _seconds(text: str) -> float | None:
    try:
        seconds = float(text)
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None


def _moment(text: str) -> float | None:
    if not text:
        return None
    # 2 ms to import, and only a date needs it.
    from email.utils import parsedate_to_datetime

    try:
        return parsedate_to_datetime(text).timestamp()
    except (TypeError, ValueError, OverflowError):
        return None
