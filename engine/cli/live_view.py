"""The live view of a run on a terminal: the only module that imports rich.

Above, lines that stay (rounds, plans, failures); below, one line for each running task and a
line of totals, drawn at most ten times a second. Drawing happens on the event loop, between its
turns, so nothing is read while it changes; an observer only takes notes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import IO

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from engine import clock
from engine.cli.format_values import count, duration, money, one_line, tokens
from engine.cli.narrator import Narrator, Tone
from engine.cli.step_lines import Progress, entry_path, is_quiet, step_name
from engine.drive.driver import Observer
from engine.events import CallFailed, CallFinished, CallStarted, Event
from engine.runtime.state import Call, Check, RunState, Task

__all__ = ["LiveWatch"]

_INTERVAL_S = 0.1
_SPINNER = "⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏"
_PLAIN_SPINNER = "|/-\\"
_BAR = "█░"
_PLAIN_BAR = "#-"
_BAR_CELLS = 20
_STYLES: dict[Tone, str] = {"head": "bold", "bad": "red", "detail": "dim", "plain": ""}


class LiveWatch:
    """Draws the run at the bottom of the terminal.

    Args:
        stream: The terminal.
        color: Whether with colours.
    """

    def __init__(self, stream: IO[str], *, color: bool) -> None:
        self._console = Console(
            file=stream, force_terminal=True, no_color=not color, highlight=False, markup=False
        )
        try:
            (_SPINNER + _BAR).encode(self._console.encoding)
            self._frames, self._bar = _SPINNER, _BAR
        except (UnicodeError, LookupError):
            self._frames, self._bar = _PLAIN_SPINNER, _PLAIN_BAR
        self._live = Live(
            console=self._console, auto_refresh=False, transient=True, vertical_overflow="crop"
        )
        self._narrator = Narrator(self._say, tasks=False)
        self._state: RunState | None = None
        self._began: dict[str, float] = {}
        #: When calls that wait are made again, by key.
        self._due: dict[str, float] = {}
        self._lines: list[tuple[str, Tone]] = []
        self._frame = 0
        self._timer: asyncio.TimerHandle | None = None
        self.observers: list[Observer] = [self._observe]

    def __enter__(self) -> LiveWatch:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._state = None
        try:
            self._print_lines()
            self._live.stop()
        except OSError:  # the terminal has gone; the run is what matters
            return

    def _say(self, line: str, tone: Tone) -> None:
        self._lines.append((line, tone))

    def _observe(self, event: Event, state: RunState) -> None:
        self._state = state
        if isinstance(event, CallStarted):
            self._began[event.key] = clock.running_s()
        elif isinstance(event, (CallFinished, CallFailed)):
            self._began.pop(event.key, None)
        self._narrator.observe(event, state)
        if isinstance(event, CallFailed) and (call := self._narrator.waiting.get(event.key)):
            delay_ms = call.command.delay_ms if call.command is not None else 0
            self._due[event.key] = clock.running_s() + delay_ms / 1000
        if self._timer is None:
            self._draw()

    def _draw(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(_INTERVAL_S, self._draw)
        self._frame += 1
        try:
            self._print_lines()
            self._live.update(self._view(), refresh=True)
        except OSError:
            return

    def _print_lines(self) -> None:
        lines, self._lines = self._lines, []
        if lines:
            self._console.print(
                Text("\n").join(Text(line, style=_STYLES[tone]) for line, tone in lines),
                soft_wrap=True,
            )

    def _view(self) -> Group:
        state = self._state
        if state is None or state.root is None:
            return Group()
        running = [call for call in self._narrator.running.values() if not call.loop.over]
        waiting = [call for call in self._narrator.waiting.values() if not call.loop.over]
        room = max(1, self._console.height - 3)
        # Items of steps are in the lines of their steps.
        rows = list(self._steps(self._narrator.steps.running[: max(1, room - 1)]))
        room = max(1, room - len(rows))
        single = [call for call in running if not is_quiet(call.subject)]
        shown = single if len(single) <= room else single[: room - 1]
        rows += self._rows(shown)
        if len(shown) < len(single):
            rows.append(Text(f"  ... and {len(single) - len(shown)} more", style="dim"))
        waiting = [call for call in waiting if not is_quiet(call.subject)]
        room += len(rows) - len(shown)
        if waiting and len(rows) < room:
            rows += self._waits(waiting[: room - len(rows)])
        rows.append(self._totals(state, len(running)))
        return Group(*rows)

    def _steps(self, steps: Iterable[Progress]) -> Iterable[Text]:
        """A line a step: its bar, how many of its items are over, how many of them failed."""
        spinner = self._frames[self._frame % len(self._frames)]
        for told in steps:
            if told.step.loop.over:
                continue
            row = Text(no_wrap=True, overflow="ellipsis")
            row.append(f"{spinner} ", style="cyan")
            row.append(one_line(step_name(told.step), 60))
            full = _BAR_CELLS * told.over // max(1, told.total)
            row.append(f"  {self._bar[0] * full}{self._bar[1] * (_BAR_CELLS - full)}", style="cyan")
            row.append(f"  {told.over} of {told.total}{'' if told.known else ' so far'}")
            if told.failed:
                row.append(f", {told.failed} failed", style="red")
            yield row

    def _rows(self, calls: Iterable[Call]) -> Iterable[Text]:
        now = clock.running_s()
        spinner = self._frames[self._frame % len(self._frames)]
        for call in calls:
            row = Text(no_wrap=True, overflow="ellipsis")
            row.append(f"{spinner} ", style="cyan")
            row.append(_label(call))
            row.append(
                f"  {duration(int((now - self._began.get(call.key, now)) * 1000))}", style="dim"
            )
            yield row

    def _waits(self, calls: Iterable[Call]) -> Iterable[Text]:
        now = clock.running_s()
        for call in calls:
            left_ms = max(0, int((self._due.get(call.key, now) - now) * 1000))
            said = f"  {_label(call)}  waits {duration(left_ms)} before it tries again"
            yield Text(said, style="dim", no_wrap=True, overflow="ellipsis")

    def _totals(self, state: RunState, running: int) -> Text:
        loop = state.loop
        ledger = loop.ledger
        parts = [
            f"round {loop.round} of {loop.orchestrator.policy.max_rounds}",
            f"{running} running",
            f"{count(self._narrator.done, 'task')} done",
        ]
        if self._narrator.failed:
            parts.append(f"{self._narrator.failed} failed")
        if ledger.tokens:
            parts.append(f"{tokens(ledger.tokens)} tokens")
        if ledger.cost_usd or ledger.unpriced_calls:
            unknown = " and unknown" if ledger.unpriced_calls else ""
            parts.append(f"{money(ledger.cost_usd / 1_000_000)}{unknown}")
        return Text(" · ".join(parts), style="bold", no_wrap=True, overflow="ellipsis")


def _label(call: Call) -> str:
    subject = call.subject
    if isinstance(subject, Task):
        return one_line(f"{entry_path(subject)} {subject.worker.name}", 80)
    if isinstance(subject, Check):
        return f"verifier {subject.verifier.name}"
    return f"{subject.orchestrator.name} decides"
