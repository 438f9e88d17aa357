"""Ends processes whose engine is dead: finds them, signals them, and waits for the engine's death.

Run as a script it is the watcher, one process for each engine that starts programs. It sleeps until
the engine's pipe closes, which the kernel sees to however the engine ends, then reads the table of
what was under way, and ends that. A `resume` uses `end` for what even the watcher did not reach.

A process is found in two ways: by its process group, which the engine wrote into the table, and by
the mark in its environment. Only one that leaves both behind is not found.

The script runs without the engine's package and without `site`, so that it starts within
milliseconds: nothing but the smallest modules of the standard library may be imported here. It is
started in a session of its own, with the signals blocked that end a group of processes, and has
nothing of the engine open but the two descriptors it is given.
"""

from __future__ import annotations

import os
import signal
import struct
import sys
import time
from collections.abc import Callable, Iterable, Iterator

__all__ = [
    "GRACE_S",
    "GROUPLESS",
    "PATIENCE_S",
    "SLOT",
    "VARIABLE",
    "end",
    "find",
    "is_led",
    "marks_in",
    "now_ns",
]

#: The variable that holds the mark; `engine.runtime.marks` says what a mark is.
VARIABLE = "ORCH_CALL"

#: One process in the table: its number (0 for a free slot), its group (0 while it starts), and
#: when the group was entered, in nanoseconds since the machine's start (0 if that is not known).
SLOT = struct.Struct("<QQQ")
#: Instead of a group: it runs, and which group it leads is not known.
GROUPLESS = 1

#: How long processes have, after SIGTERM, before SIGKILL: their engine is gone, and another one may
#: wait to do the same work.
GRACE_S = 0.5
#: How long to wait for processes that do not even end at SIGKILL.
PATIENCE_S = 5.0
#: How long to look for a process that was about to start: between `fork` and `exec` it has no
#: mark yet.
_STARTING_S = 1.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.002, 0.1

_PROC = "/proc/self/environ"


def now_ns() -> int:
    """Nanoseconds since the machine's start, by the clock that processes are dated with."""
    clock = getattr(time, "CLOCK_BOOTTIME", None)  # Linux
    return 0 if clock is None else time.clock_gettime_ns(clock)


def find(is_ours: Callable[[str], bool]) -> list[int]:
    """The ids of the processes whose mark is ours, this process left out."""
    marked = _marked_in_proc() if os.path.exists(_PROC) else _marked_by_ps()
    return [pid for pid, mark in marked if is_ours(mark) and pid != os.getpid()]


def _marked_in_proc() -> Iterator[tuple[int, str]]:
    prefix = f"{VARIABLE}=".encode()
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/environ", "rb", buffering=0) as file:
                environment = file.read()
        except OSError:  # it has ended, or is another user's
            continue
        if prefix in environment:
            for entry in environment.split(b"\0"):
                if entry.startswith(prefix):
                    yield int(name), entry[len(prefix) :].decode(errors="replace")


def _marked_by_ps() -> Iterator[tuple[int, str]]:
    """Where there is no `/proc` (macOS): `ps` shows arguments and environment in one line."""
    # The system's own programs are shown without their environment there.
    import subprocess  # 6 ms, and needed here only

    arguments = ["/bin/ps", "-A", "-E", "-ww", "-o", "pid=,command="]
    try:
        listed = subprocess.run(  # noqa: S603 - no input
            arguments, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
    except OSError:
        return
    yield from marks_in(listed.stdout.decode(errors="replace"))


def marks_in(listing: str) -> Iterator[tuple[int, str]]:
    """Process ids and marks in the lines of `ps`. A mark has no spaces."""
    prefix = f"{VARIABLE}="
    for line in listing.splitlines():
        pid, *words = line.split()
        for word in words:
            if word.startswith(prefix):
                yield int(pid), word[len(prefix) :]


def end(
    is_ours: Callable[[str], bool],
    groups: Iterable[int] = (),
    *,
    grace_s: float = GRACE_S,
    patience_s: float = PATIENCE_S,
    look_s: float = 0.0,
) -> list[int]:
    """End processes and all in their groups: SIGTERM, a grace, SIGKILL until nothing is left.

    A group that a marked process is in has members of the same call only, for the engine starts
    each program in a session of its own.

    Args:
        is_ours: Whether a mark belongs to them.
        groups: Groups to end as well.
        look_s: How long to look at least, for what has no mark yet.

    Returns:
        The ids of marked processes that live on: the system has not let them be ended.
    """
    # Both ways are needed: a group also has processes that cleared their environment, and a mark
    # also finds processes that have left the group. New ones may be forked while these are ended,
    # so the search is repeated until it finds nothing.
    began = time.monotonic()
    known = {-group for group in groups}
    told = {target for target in known if _signal(target, signal.SIGTERM)}
    pause_s = _FIRST_PAUSE_S
    while True:
        left = find(is_ours)
        targets = {it for it in known if _signal(it, 0)} | {_target(pid) for pid in left}
        passed_s = time.monotonic() - began
        if not targets and passed_s >= look_s:
            return []
        if passed_s < grace_s:
            for target in targets - told:
                _signal(target, signal.SIGTERM)
            told |= targets
        else:
            for target in targets:
                _signal(target, signal.SIGKILL)
            # No member of a group escapes that. One that has not been waited for looks alive.
            known.clear()
            if passed_s >= grace_s + patience_s:
                return left
        time.sleep(pause_s)
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


def _target(pid: int) -> int:
    """What to signal for a process, as `kill` takes it: its group, but not our own."""
    try:
        group = os.getpgid(pid)
    except ProcessLookupError:
        return pid
    return pid if group == os.getpgrp() else -group


def _signal(target: int, number: int) -> bool:
    """Send a signal; whether there was a process to get it."""
    try:
        os.kill(target, number)
    except (ProcessLookupError, PermissionError):  # macOS says EPERM for zombies
        return False
    return True


def is_led(group: int, entered_ns: int) -> bool:
    """Whether a group is still the one that was entered: ids of processes are used again."""
    try:
        if os.getsid(group) != group:
            return False
        if not entered_ns:
            return True
        with open(f"/proc/{group}/stat") as file:
            ticks = int(file.read().rpartition(")")[2].split()[19])
    except ProcessLookupError:
        return True  # The leader has ended; the id is not used again before the last member has.
    except (OSError, ValueError, IndexError):
        return True
    return ticks * 1_000_000_000 // os.sysconf("SC_CLK_TCK") <= entered_ns


def _table(descriptor: int) -> list[tuple[int, int, int]]:
    """What was under way when the engine ended."""
    size = os.fstat(descriptor).st_size
    data = os.pread(descriptor, size - size % SLOT.size, 0)
    return [slot for slot in SLOT.iter_unpack(data) if slot[0]]


def main() -> None:
    """Wait for the engine's end on standard input; its table is standard output."""
    engine = sys.argv[1]
    # The kernel closes the pipe however the engine ends, so this needs no heartbeat. Bytes on it
    # mean nothing; only its end counts.
    while os.read(0, 512):
        pass
    under_way = _table(1)
    if not under_way:
        return
    names = {f"{engine}.{number}" for number, _, _ in under_way}
    groups = [group for _, group, at in under_way if group > GROUPLESS and is_led(group, at)]
    starting = any(not group for _, group, _ in under_way)
    end(
        lambda mark: mark.rpartition("@")[2] in names,
        groups,
        look_s=_STARTING_S if starting else 0.0,
    )


if __name__ == "__main__":
    main()
