"""One measurement in a process of its own: `python -m bench.measure CONTENDER ROUNDS WIDTH MODE`.

Prints one JSON object. CPU time is that of the whole process (all threads, user and system)
while the job runs; imports and one small warm-up run come before it and are not counted.
"""

from __future__ import annotations

import asyncio
import cProfile
import importlib
import json
import os
import pstats
import resource
import sys
import tempfile
import time
from pathlib import Path


class Clock:
    """CPU and wall time, in seconds, of what runs inside it."""

    cpu_s = 0.0
    wall_s = 0.0

    def __enter__(self) -> None:
        self._cpu, self._wall = time.process_time(), time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.cpu_s = time.process_time() - self._cpu
        self.wall_s = time.perf_counter() - self._wall


def database_bytes(folder: str) -> int:
    return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())


def by_room(profile: cProfile.Profile) -> dict[str, float]:
    """The share of a profile's own time in each part of the program."""
    rooms: dict[str, float] = {}
    total = 0.0
    for (file, _, _), (_, _, own, _, _) in pstats.Stats(profile).stats.items():  # type: ignore[attr-defined]
        path = file.replace(os.sep, "/")
        if "/engine/" in path:
            room = "engine/" + path.rsplit("/engine/", 1)[1].split("/")[0]
        elif "asyncio" in path or "selectors" in path:
            room = "asyncio"
        elif "sqlite" in path or "threading" in path or "queue" in path:
            room = "threads and sqlite"
        else:
            room = "builtins and libraries"
        rooms[room] = rooms.get(room, 0.0) + own
        total += own
    return {room: own / total for room, own in sorted(rooms.items(), key=lambda r: -r[1])}


def main() -> None:
    name, rounds, width, mode = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    contender = importlib.import_module(f"bench.contenders.{name}")
    # Temporary folders are often in memory, where a durable write costs nothing: use the disk.
    base = Path(__file__).parent / ".work"
    base.mkdir(exist_ok=True)

    def go(rounds: int, width: int, folder: str | None, clock: Clock) -> None:
        job = contender.prepare(rounds, width, folder)

        async def measured() -> None:
            with clock:
                await job()

        asyncio.run(measured())

    go(2, 5, None, Clock())
    if mode == "profile":
        profile = cProfile.Profile()
        profile.runcall(go, rounds, width, None, Clock())
        print(json.dumps({"rooms": by_room(profile)}))
        return
    clock = Clock()
    with tempfile.TemporaryDirectory(dir=base) as folder:
        go(rounds, width, folder if mode == "durable" else None, clock)
        size = database_bytes(folder)
    print(
        json.dumps(
            {
                "cpu_us": clock.cpu_s / (rounds * width) * 1e6,
                "wall_us": clock.wall_s / (rounds * width) * 1e6,
                "bytes": size,
                "payload": rounds * width * 1000,
                "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
            }
        )
    )


if __name__ == "__main__":
    main()
