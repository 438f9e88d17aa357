"""How a run is watched where there is no live view: plain lines on standard error, or silence.

A `Watch` is entered before the run and left after it; the live view in `engine.cli.live_view` is
the third one. Lines are gathered for a turn of the event loop and written together, so that a
round of ten thousand tasks costs a write, not ten thousand.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import IO, Protocol

from engine.cli.narrator import Narrator, Tone
from engine.drive.driver import Observer

__all__ = ["PlainWatch", "SilentWatch", "Watch"]

_CODES: dict[Tone, str] = {"head": "\x1b[1m", "bad": "\x1b[31m", "detail": "\x1b[2m", "plain": ""}


class Watch(Protocol):
    """Something that shows a run while it goes."""

    observers: list[Observer]

    def __enter__(self) -> Watch: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


class SilentWatch:
    """Shows nothing."""

    def __init__(self) -> None:
        self.observers: list[Observer] = []

    def __enter__(self) -> SilentWatch:
        return self

    def __exit__(self, *_: object) -> None:
        return


class PlainWatch:
    """Writes a line for each thing worth telling.

    Args:
        stream: Where to.
        color: Whether with colours.
    """

    def __init__(self, stream: IO[str], *, color: bool) -> None:
        self._stream = stream
        self._color = color
        self._lines: list[str] = []
        self.observers: list[Observer] = [Narrator(self._say).observe]

    def __enter__(self) -> PlainWatch:
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()

    def _say(self, line: str, tone: Tone) -> None:
        if not self._lines:
            asyncio.get_running_loop().call_soon(self._flush)
        code = _CODES[tone] if self._color else ""
        self._lines.append(f"{code}{line}\x1b[0m\n" if code else f"{line}\n")

    def _flush(self) -> None:
        if not self._lines:
            return
        text = "".join(self._lines)
        self._lines.clear()
        try:
            self._stream.write(text)
            self._stream.flush()
        except OSError:
            # Whoever read the lines has gone; the run continues, as its result is elsewhere.
            return
