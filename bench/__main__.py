"""`python -m bench`: every comparison side by side, in one run; medians and ratios.

CPU time, not wall time: the machines this runs on are shared and noisy, and CPU time is what is
paid for. Every measurement is a process of its own, and contenders take turns, so that a busy
minute hurts all of them alike.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import subprocess
import sys
from pathlib import Path

from bench import against, checkers, prefix_cache, startup

ROOT = Path(__file__).resolve().parents[1]

#: (rounds, width): many rounds, wide rounds, and both.
SHAPES = ((100, 10), (1000, 10), (10, 100), (1, 1000), (1, 10_000))
#: LangGraph's durable variant writes its whole state at every step: gigabytes beyond this.
LANGGRAPH_DURABLE_MAX_ROUNDS = 100

PARTS = ["dispatch", "startup", "checkers", "prefix_cache"]

NAMES = {"orch_engine": "orch", "langgraph_engine": "LangGraph", "bare": "asyncio.gather"}


def measure(name: str, rounds: int, width: int, mode: str) -> dict[str, float]:
    command = [sys.executable, "-m", "bench.measure", name, str(rounds), str(width), mode]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def median(runs: list[dict[str, float]], key: str) -> float:
    return statistics.median(run[key] for run in runs)


def dispatch(repeat: int, shapes: tuple[tuple[int, int], ...]) -> None:
    contenders = ["orch_engine", "bare"]
    if importlib.util.find_spec("langgraph") is not None:
        contenders.insert(1, "langgraph_engine")
    else:
        print("(langgraph is not installed here; `make bench` installs it)")
    print("\nCPU per dispatch, in µs (median; validation on, 1 KB results)\n")
    header = f"{'rounds x tasks':>16}  {'mode':8}"
    print(header + "".join(f"{NAMES[name]:>16}" for name in contenders) + "   LangGraph/orch")
    sizes = []
    for rounds, width in shapes:
        for mode in ("memory", "durable"):
            row: dict[str, list[dict[str, float]]] = {name: [] for name in contenders}
            for _ in range(repeat):
                for name in contenders:
                    if name == "bare" and mode == "durable":
                        continue
                    too_big = rounds > LANGGRAPH_DURABLE_MAX_ROUNDS
                    if name == "langgraph_engine" and mode == "durable" and too_big:
                        continue
                    row[name].append(measure(name, rounds, width, mode))
            cells = [
                f"{median(row[n], 'cpu_us'):16.1f}" if row[n] else f"{'-':>16}" for n in contenders
            ]
            ratio = ""
            graph = row.get("langgraph_engine")
            if graph:
                ratio = f"{median(graph, 'cpu_us') / median(row['orch_engine'], 'cpu_us'):10.1f} x"
            print(
                f"{rounds:>8} x {width:<5}  {mode:8}" + "".join(cells) + "   " + ratio, flush=True
            )
            if mode == "durable":
                sizes.append((rounds, width, row))
    print("\nDatabase, as a multiple of the payload (1 KB a task)\n")
    for rounds, width, row in sizes:
        cells = []
        for name in contenders[:-1]:
            if row[name]:
                cells.append(f"{NAMES[name]} {row[name][0]['bytes'] / row[name][0]['payload']:.2f}")
        print(f"{rounds:>8} x {width:<5}  " + "   ".join(cells))
    print("\nWhere orch's time goes (share of a profiled durable-free run, 10 x 1000)\n")
    rooms = measure("orch_engine", 10, 1000, "profile")["rooms"]
    for room, share in rooms.items():  # type: ignore[attr-defined]
        print(f"  {share:6.1%}  {room}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("what", nargs="*", choices=[*PARTS, []], help="all if none")
    parser.add_argument(
        "--against", type=Path, metavar="PATH", help="compare lint and approve with a checkout"
    )
    parser.add_argument("--repeat", type=int, default=3, help="runs of each, for the median")
    parser.add_argument("--quick", action="store_true", help="two shapes only")
    arguments = parser.parse_args()
    if arguments.against is not None:
        against.main(arguments.against, arguments.repeat)
        return
    what = arguments.what or PARTS
    if "dispatch" in what:
        shapes = ((100, 10), (1, 1000)) if arguments.quick else SHAPES
        dispatch(arguments.repeat, shapes)
    if "startup" in what:
        startup.main(arguments.repeat)
    if "checkers" in what:
        checkers.main(arguments.repeat)
    if "prefix_cache" in what:
        prefix_cache.main()


if __name__ == "__main__":
    main()
