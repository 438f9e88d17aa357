"""`python -m bench.plans`: an item beside a task, two stages, what fails alike, many items.

With `--against PATH`, an item is compared with a plain task of that checkout.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from bench.plans import cpu, failures, makespan

PARTS = ["cpu", "makespan", "failures"]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.plans", description=__doc__)
    parser.add_argument("what", nargs="*", choices=[*PARTS, []], help="all if none")
    parser.add_argument("--against", type=Path, metavar="PATH", help="the checkout of plain tasks")
    parser.add_argument("--repeat", type=int, default=15, help="pairs of measurements")
    parser.add_argument("--scale", type=float, default=0.2, help="of the latencies of the stages")
    arguments = parser.parse_args()
    what = arguments.what or PARTS
    if "cpu" in what:
        cpu.main(arguments.repeat, arguments.against)
    if "makespan" in what:
        makespan.main(3, arguments.scale)
    if "failures" in what:
        failures.main()


if __name__ == "__main__":
    main()
