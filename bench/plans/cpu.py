"""CPU, journal and turns of an item of an `each`, next to a plain task, in interleaved pairs.

With the path of an earlier checkout, the plain tasks are that engine's; else they are this one's.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
JOB = Path(__file__).with_name("job.py")
ITEMS = 10_000


def measure(root: Path, form: str, mode: str) -> dict[str, float]:
    """One run in a process of its own, by the engine in `root`."""
    command = [sys.executable, str(JOB), form, mode, str(ITEMS)]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def main(repeat: int, against: Path | None) -> None:
    there = ROOT if against is None else against.resolve()
    print(f"\nCPU an item at {ITEMS:,} items, in µs (median of {repeat} pairs, and the least)\n")
    for mode in ("memory", "durable"):
        tasks, each = [], []
        for _ in range(repeat):
            tasks.append(measure(there, "tasks", mode))
            each.append(measure(ROOT, "each", mode))
        ratios = [one["cpu_us"] / other["cpu_us"] for other, one in zip(tasks, each, strict=True)]
        cells = [
            f"{name} {statistics.median(run['cpu_us'] for run in runs):6.1f} "
            f"({min(run['cpu_us'] for run in runs):.1f})"
            for name, runs in (("task", tasks), ("item", each))
        ]
        print(f"{mode:8}  {'   '.join(cells)}   ratio {statistics.median(ratios):.2f}", flush=True)
        if mode == "durable":
            print(
                f"journal   task {tasks[0]['bytes']:6.0f}   item {each[0]['bytes']:6.0f} bytes "
                "(1,000 of them are the output)"
            )
    for name, root in (("tasks", there), ("each", ROOT)):
        found = [measure(root, name, "turns") for _ in range(min(3, repeat))]
        longest = statistics.median(run["turn_ms"] for run in found)
        peak = statistics.median(run["peak_mib"] for run in found)
        print(
            f"{name:5}  longest turn of the event loop {longest:.1f} ms of CPU, "
            f"peak of the process {peak:.0f} MiB",
            flush=True,
        )
