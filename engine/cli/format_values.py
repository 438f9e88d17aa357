"""Values of a run as people read them: one line, printable, with units.

What a model or a worker wrote is shown only through `engine.printable` or `one_line`: a terminal
obeys escape sequences, and text from outside must not give it orders.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from engine import clock
from engine.printable import printable

__all__ = [
    "age",
    "compact",
    "count",
    "duration",
    "money",
    "one_line",
    "pretty",
    "tokens",
    "totals",
]


def one_line(text: str, width: int = 160) -> str:
    """The text as one printable line of at most `width` characters."""
    # Cut first: a value may be megabytes long, and only its beginning is shown.
    line = " ".join(printable(text[: width * 4]).split())
    return line if len(line) <= width and len(text) <= width * 4 else line[: width - 3] + "..."


def compact(value: Any, width: int = 160) -> str:
    """A JSON value as one printable line of at most `width` characters."""
    return one_line(value if isinstance(value, str) else _shortened(value, width), width)


def _shortened(value: Any, width: int) -> str:
    """JSON of a value, dropping what would not be shown anyway."""
    if isinstance(value, list):
        value = value[:width]
    elif isinstance(value, dict):
        value = dict(list(value.items())[:width])
    return json.dumps(value, ensure_ascii=False)


def pretty(value: Any) -> str:
    """A result for people: a string as it is, anything else as indented JSON."""
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)


def duration(ms: int) -> str:
    """Milliseconds as `840 ms`, `4.2 s`, `3 min 20 s`, `1 h 5 min`."""
    if ms < 1000:
        return f"{ms} ms"
    if ms < 60_000:
        return f"{ms / 1000:.1f} s"
    minutes, seconds = divmod(round(ms / 1000), 60)
    if minutes < 60:
        return f"{minutes} min {seconds} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def age(then_ms: int, now_ms: int | None = None) -> str:
    """How long ago a wall-clock time (Unix milliseconds) was: `5 s ago`, `3 days ago`."""
    now_ms = clock.wall_ms() if now_ms is None else now_ms
    seconds = max(0, (now_ms - then_ms) // 1000)
    for unit, length in (("day", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            number = seconds // length
            return f"{number} {unit}{'s' if unit == 'day' and number > 1 else ''} ago"
    return f"{seconds} s ago"


def money(cost_usd: float) -> str:
    """Dollars, to the cent, or as exactly as a small amount needs."""
    if cost_usd >= 1 or cost_usd == 0:
        return f"${cost_usd:.2f}"
    return f"${cost_usd:.4f}" if cost_usd >= 0.00005 else "under $0.0001"


def tokens(number: int) -> str:
    """A number of tokens: `840`, `12.3k`, `1.2M`."""
    if number < 1000:
        return str(number)
    if number < 999_950:
        return f"{number / 1000:.1f}k"
    return f"{number / 1_000_000:.1f}M"


def count(number: int, word: str) -> str:
    """`1 round`, `3 rounds`."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def totals(report: Mapping[str, Any]) -> str:
    """The totals of a run's report (`run_report`) in one line."""
    parts = [count(report["rounds"], "round"), count(report["dispatches"], "task")]
    # Tasks of sub-orchestrators are in `failures` too, but not in `dispatches`.
    failed = sum(one["key"].count(" / task ") == 1 for one in report["failures"])
    # Tasks that steps counted, and that then had no reason to start.
    ended = [f"{failed} failed"] if failed else []
    missed = report.get("not_started", 0)
    ended += [f"{missed} not started"] if missed else []
    if ended:
        parts[-1] += f" ({', '.join(ended)})"
    parts.append(count(report["calls"], "call"))
    usage = report["usage"]
    if usage is not None:
        used = usage["input_tokens"] + usage["output_tokens"]
        if used:
            parts.append(f"{tokens(used)} tokens")
        if usage["cost_usd"] is None:
            parts.append("cost unknown")
        elif usage["cost_usd"] or used:
            parts.append(money(usage["cost_usd"]))
    parts.append(duration(report["time_ms"]))
    return ", ".join(parts)
