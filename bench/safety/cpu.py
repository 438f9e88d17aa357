"""CPU of a dispatch next to an earlier build, in interleaved pairs: `python -m bench.safety --cpu`.

The figure of a pair is the ratio of its two runs; reported is the median of the pairs.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
from pathlib import Path

from bench.report import table

JOB = Path(__file__).with_name("cpu_job.py")
ROUNDS, WIDTH = 40, 50

#: What is compared: its name, the form by the earlier build, the form by this one.
CASES = (
    ("no untrusted worker", "plain", "plain"),
    ("`@from` on two inputs, a hook that reads sources", "checked", "sources"),
)


def measure(python: Path, root: Path, form: str) -> float:
    """CPU of a dispatch in microseconds, in a process of its own."""
    command = [str(python), str(JOB), form, str(ROUNDS), str(WIDTH)]
    environment = {**os.environ, "PYTHONPATH": str(root)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    return float(json.loads(done.stdout.splitlines()[-1])["cpu_us"])


def rows(python: Path, now: Path, then: Path, repeat: int) -> str:
    """The table of `repeat` interleaved pairs of each case."""
    found = []
    for name, earlier, later in CASES:
        pairs = [
            (measure(python, then, earlier), measure(python, now, later)) for _ in range(repeat)
        ]
        theirs, ours = zip(*pairs, strict=True)
        ratios = [own / other for other, own in pairs]
        found.append(
            [
                name,
                f"{statistics.median(theirs):.0f} ({min(theirs):.0f})",
                f"{statistics.median(ours):.0f} ({min(ours):.0f})",
                f"{statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})",
            ]
        )
    head = ("program", "earlier build, µs", "this build, µs", "ratio of a pair")
    return table(head, found)
