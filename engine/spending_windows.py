"""Spending windows: what the runs of a journal may spend in an hour, a day, a week or a month.

Said in `orch.toml` (`[[spending]]`) or in `ORCH_SPENDING`. Here is what a window is, how it is read
and when it begins and resets; what was spent in it is kept by `engine.journal.spending`. A window
counts all calls, or those of runs with a label, of a workflow, or of a model. Money is
micro-dollars; times are Unix milliseconds.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta, tzinfo
from fnmatch import fnmatchcase
from typing import Any, Literal, get_args

import msgspec

__all__ = ["FILTERS", "VARIABLE", "Period", "Spender", "Window", "read_text", "read_window"]

#: The variable of the environment that holds further windows.
VARIABLE = "ORCH_SPENDING"

Period = Literal["hour", "day", "week", "month"]
_PERIODS = get_args(Period)
FILTERS = ("label", "workflow", "model")
_KEYS = ("per", "limit", *FILTERS, "time_zone")

_DOLLARS = re.compile(r"\$(?P<whole>\d{1,9})(?:\.(?P<part>\d{1,6}))?")
_TEXT = re.compile(
    r"(?P<limit>\$\S+)\s+per\s+(?P<per>\w+)"
    r"(?:\s+for\s+(?P<filter>label|workflow|model)\s+(?P<of>\S+))?"
    r"(?:\s+in\s+(?P<time_zone>\S+))?"
)


class Spender(msgspec.Struct, frozen=True):
    """Whose call it is, as windows tell calls apart.

    Attributes:
        workflow: The absolute path of the run's file.
        labels: The run's labels, `team=x` each.
        model: The id of the model.
    """

    workflow: str
    labels: tuple[str, ...]
    model: str


class Window(msgspec.Struct, frozen=True):
    """One limit. `label`, `workflow` and `model` are patterns (`*`), "" where all count.

    Attributes:
        per: How long it lasts.
        limit_usd: The most that may be spent in it, in micro-dollars.
        time_zone: Where days, weeks and months begin at midnight.
        place: Where it is said, for messages.
    """

    per: Period
    limit_usd: int
    label: str = ""
    workflow: str = ""
    model: str = ""
    time_zone: str = "UTC"
    place: str = ""

    def counts(self, spender: Spender) -> bool:
        """Whether a call of this spender is counted."""
        return (
            (not self.label or any(fnmatchcase(label, self.label) for label in spender.labels))
            and (not self.model or fnmatchcase(spender.model, self.model))
            and (not self.workflow or _ends_with(spender.workflow, self.workflow))
        )

    def begin(self, now_ms: int) -> int:
        """When the window began that is open at a moment."""
        return _ms(self._begin(now_ms))

    def reset(self, now_ms: int) -> str:
        """When it ends, in words: `2026-12-01 00:00 UTC`."""
        began = self._begin(now_ms)
        if self.per == "hour":
            over = began + timedelta(hours=1)
        elif self.per == "month":
            over = (began + timedelta(days=32)).replace(day=1)
        else:
            over = began + timedelta(days=7 if self.per == "week" else 1)
        return f"{over:%Y-%m-%d %H:%M} {self.time_zone}"

    def _begin(self, now_ms: int) -> datetime:
        now = datetime.fromtimestamp(now_ms / 1000, _zone(self.time_zone))
        if self.per == "hour":
            return now.replace(minute=0, second=0, microsecond=0)
        day = now.replace(hour=0, minute=0, second=0, microsecond=0)
        if self.per == "week":
            return day - timedelta(days=day.weekday())
        return day.replace(day=1) if self.per == "month" else day

    def __str__(self) -> str:
        said = f"${self.limit_usd / 1_000_000:.2f} per {self.per}"
        for name in FILTERS:
            if getattr(self, name):
                said += f" for {name} {getattr(self, name)}"
        return f"{said} ({self.place})" if self.place else said


def read_window(said: Mapping[str, Any], place: str) -> Window:
    """A window from the keys of its table.

    Raises:
        ValueError: A key or a value is not valid; the message says how.
    """
    for key, value in said.items():
        if key not in _KEYS:
            raise ValueError(f"unknown key `{key}`; known are {', '.join(_KEYS)}")
        if not isinstance(value, str) or not value:
            raise ValueError(f"`{key}` needs a text")
    per: Any = said.get("per")
    if per not in _PERIODS:
        raise ValueError(f"`per` is one of {', '.join(_PERIODS)}")
    zone = said.get("time_zone", "UTC")
    try:
        _zone(zone)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"`{zone}` is not a known time zone, such as Europe/Berlin") from None
    filters = {name: said[name] for name in FILTERS if name in said}
    return Window(
        per=per, limit_usd=_micro(said.get("limit")), time_zone=zone, place=place, **filters
    )


def read_text(text: str) -> tuple[Window, ...]:
    """The windows of `ORCH_SPENDING`: `$20.00 per day; $5.00 per day for label team=x`.

    Raises:
        ValueError: A part of it is not a window; the message says which.
    """
    found: list[Window] = []
    for part in filter(None, (part.strip() for part in text.split(";"))):
        parts = _TEXT.fullmatch(part)
        if parts is None:
            raise ValueError(f"{part!r} is not of the form `$20.00 per day for label team=x`")
        said = {"limit": parts["limit"], "per": parts["per"]}
        if parts["filter"]:
            said[parts["filter"]] = parts["of"]
        if parts["time_zone"]:
            said["time_zone"] = parts["time_zone"]
        found.append(read_window(said, VARIABLE))
    return tuple(found)


def _micro(limit: object) -> int:
    parts = _DOLLARS.fullmatch(limit) if isinstance(limit, str) else None
    if parts is None:
        raise ValueError('`limit` needs dollars, such as "$20.00"')
    return int(parts["whole"]) * 1_000_000 + int((parts["part"] or "").ljust(6, "0"))


def _zone(name: str) -> tzinfo:
    if name == "UTC":
        return UTC
    from zoneinfo import ZoneInfo  # 3 ms, and few windows are anywhere else than in UTC

    return ZoneInfo(name)


def _ms(moment: datetime) -> int:
    return int(moment.timestamp() * 1000)


def _ends_with(path: str, pattern: str) -> bool:
    """Whether the last parts of a path fit a pattern of as many parts."""
    wanted = pattern.removeprefix("./").split("/")
    return fnmatchcase("/".join(path.split("/")[-len(wanted) :]), "/".join(wanted))
