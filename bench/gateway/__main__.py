"""Measure every contender in turn, three rounds, and print a table of the medians.

`python -m bench.gateway [--calls 300] [--width 20] [--rounds 3]`. Contenders take turns within a
round, so that what else runs on the machine hits all of them. Only CPU time is reported.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from bench.gateway.contenders import CLIENTS, ORCH

FIGURES = ("first_s", "call_ms", "memory_mb")


@contextmanager
def server() -> Iterator[str]:
    """The port of a server that lives as long as the block."""
    with subprocess.Popen(
        [sys.executable, "-m", "bench.gateway.server"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as running:
        assert running.stdout is not None
        assert running.stdin is not None
        yield running.stdout.readline().strip()
        running.stdin.close()


def measured(name: str, port: str, calls: int, width: int, how: str) -> dict[str, float] | None:
    """One measurement, or None where the contender is not installed or fails."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.gateway.contenders", name, port, str(calls), str(width), how],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        print(f"{name}, {how}: {done.stderr.strip().splitlines()[-1:]}", file=sys.stderr)
        return None
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.gateway")
    parser.add_argument("--calls", type=int, default=300)
    parser.add_argument("--width", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    names = [*ORCH, *CLIENTS]
    results: dict[tuple[str, str], list[dict[str, float]]] = {}
    with server() as port:
        for _ in range(given.rounds):
            for how in ("whole", "stream"):
                for name in names:
                    found = measured(name, port, given.calls, given.width, how)
                    if found is not None:
                        results.setdefault((name, how), []).append(found)
    print(
        f"{given.calls} calls, {given.width} at once, median of {given.rounds} rounds, "
        f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} processors\n"
    )
    print("| | a call | a streamed call | until the first answer | memory |")
    print("| --- | --- | --- | --- | --- |")
    for name in names:
        whole, stream = (_medians(results.get((name, how), [])) for how in ("whole", "stream"))
        print(
            f"| {name} | {_cell(whole, 'call_ms', ' ms')} | {_cell(stream, 'call_ms', ' ms')} "
            f"| {_cell(whole, 'first_s', ' s')} | {_cell(whole, 'memory_mb', ' MB')} |"
        )


def _medians(found: list[dict[str, float]]) -> dict[str, float]:
    return {key: statistics.median(one[key] for one in found) for key in FIGURES} if found else {}


def _cell(figures: dict[str, float], key: str, unit: str) -> str:
    if key not in figures:
        return "-"
    return f"{figures[key]:.0f}{unit}" if unit == " MB" else f"{figures[key]:.2f}{unit}"


if __name__ == "__main__":
    main()
