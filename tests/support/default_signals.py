"""A pytest plugin: processes under test begin with the default actions of signals.

Whoever starts pytest may ignore signals: `nohup` ignores SIGHUP, a shell without job control
ignores SIGINT and SIGQUIT of what it starts with `&`. Processes inherit that, so a program under
test would never see the SIGINT that a test sends, and the test would wait for ever. A signal with a
handler is given back its default action in every program that is started, so each ignored signal
gets one here, at import, before anything is started.
"""

from __future__ import annotations

import signal
from types import FrameType

__all__ = ["restore"]


def restore() -> None:
    """Give each signal that is ignored a handler; pytest itself heeds SIGINT then, as it should."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # asyncio takes SIGINT over where Python's own handler is in place, and only there.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGHUP, signal.SIGQUIT, signal.SIGTERM):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, _nothing)


def _nothing(number: int, frame: FrameType | None) -> None:
    """What was ignored has no effect on pytest now either."""


restore()
