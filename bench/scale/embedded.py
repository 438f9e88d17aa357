"""Many runs at once in one process, one journal: throughput, latency, memory, bytes; and resuming.

Every run makes 26 durable calls: six decisions and five rounds of four tasks, each task with one
kilobyte of result and a worker that answers at once. So what is measured is the engine. Each
measurement is a process of its own; contenders take turns.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import engine
from bench.contenders.orch_engine import PROGRAM, Planner
from engine.journal import SqliteJournal

ROOT = Path(__file__).resolve().parents[2]
ROUNDS, WIDTH = 5, 4
CALLS = ROUNDS + 1 + ROUNDS * WIDTH
PAYLOAD_BYTES = ROUNDS * WIDTH * 1000

#: Starts one run and returns when it has ended.
OneRun = Callable[[int], Awaitable[None]]

_GATED = """orch 1
model planner { id = "scripted/none.json" }
worker ship(order: int) -> string via python { call = "shop:ship"  effect = write }
verifier person(task: json) via human { message = "Ship it?"  timeout = 30d }
orchestrator parked(order: int) -> string {
  model = planner
  goal = "Ship {{ order }}."
  workers = [ship]
  policy { max_rounds = 2 }
  verify { before_dispatch ship { with = person  on_fail = abort } }
}
"""


async def _orch(runs: int, folder: str, go: Callable[[OneRun], Awaitable[None]]) -> None:
    workflow = engine.load(PROGRAM, params={"rounds": ROUNDS + 1, "width": WIDTH})
    with SqliteJournal(folder) as journal:

        async def one(number: int) -> None:
            run = await workflow.arun(
                models={"planner": Planner(ROUNDS, WIDTH)}, journal=journal, topic=f"topic {number}"
            )
            assert run.status == "finished", run.reason

        await go(one)


async def _langgraph(runs: int, folder: str, go: Callable[[OneRun], Awaitable[None]]) -> None:
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

    from bench.contenders import langgraph_engine

    async with AsyncSqliteSaver.from_conn_string(str(Path(folder) / "checkpoints.db")) as saver:
        graph, begin = langgraph_engine.build(ROUNDS, WIDTH)
        compiled = graph.compile(checkpointer=saver)

        async def one(number: int) -> None:
            config = {"recursion_limit": 100, "configurable": {"thread_id": str(number)}}
            final = await compiled.ainvoke(begin, config)
            assert len(final["results"]) == ROUNDS * WIDTH

        await go(one)


CONTENDERS = {"orch": _orch, "LangGraph": _langgraph}


def measure(name: str, runs: int) -> dict[str, float]:
    """One measurement, in this process."""
    took: list[float] = []
    spent: dict[str, float] = {}

    async def go(one: OneRun) -> None:
        await one(-1)  # what is loaded once
        before_kib = _resident_kib()
        cpu, wall = time.process_time(), time.perf_counter()

        async def timed(number: int) -> None:
            began = time.perf_counter()
            await one(number)
            took.append(time.perf_counter() - began)

        await asyncio.gather(*(timed(number) for number in range(runs)))
        spent["cpu_us"] = (time.process_time() - cpu) / (runs * CALLS) * 1e6
        spent["wall_us"] = (time.perf_counter() - wall) / (runs * CALLS) * 1e6
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        spent["kib_a_run"] = (peak - before_kib) / runs

    with tempfile.TemporaryDirectory(dir=_disk()) as folder:
        asyncio.run(CONTENDERS[name](runs, folder, go))
        size = _bytes(folder) - (runs + 1) * PAYLOAD_BYTES
        spent["bytes_a_task"] = size / ((runs + 1) * ROUNDS * WIDTH)
    took.sort()
    spent["p50_ms"] = took[len(took) // 2] * 1000
    spent["p99_ms"] = took[int(len(took) * 0.99)] * 1000
    return spent


def measure_resume(rounds: int, width: int) -> dict[str, float]:
    """CPU seconds to take a run of `rounds * width` tasks up again where it stopped."""
    workflow = engine.load(PROGRAM, params={"rounds": rounds + 1, "width": width})
    with tempfile.TemporaryDirectory(dir=_disk()) as folder:

        class Stops(Planner):
            async def complete(self, request: Any) -> Any:
                if request.index == rounds:
                    raise KeyboardInterrupt  # the process ends here, before the last decision
                return await super().complete(request)

        with contextlib.suppress(KeyboardInterrupt):
            workflow.run(models={"planner": Stops(rounds, width)}, journal=folder, topic="x")
        cpu, wall = time.process_time(), time.perf_counter()
        run = engine.resume("last", journal=folder, models={"planner": Planner(rounds, width)})
        assert run.status == "finished", run.reason
        return {"cpu_s": time.process_time() - cpu, "wall_s": time.perf_counter() - wall}


def measure_parked(runs: int) -> dict[str, float]:
    """So many runs that wait for a person: what they cost on disk, and how soon they are found."""
    with tempfile.TemporaryDirectory(dir=_disk()) as folder:
        program = Path(folder) / "parked.orch"
        program.write_text(_GATED)
        (Path(folder) / "shop.py").write_text("def ship(order):\n    return 'shipped'\n")
        workflow = engine.load(program)
        plan = {
            "assessment": "ship",
            "tasks": [{"id": "a", "worker": "ship", "input": {"order": 1}}],
        }

        async def park() -> None:
            with SqliteJournal(Path(folder) / "journal") as journal:
                for first in range(0, runs, 500):
                    several = (
                        workflow.arun(
                            models={"planner": engine.Scripted([plan])}, journal=journal, order=n
                        )
                        for n in range(first, min(first + 500, runs))
                    )
                    for run in await asyncio.gather(*several):
                        assert run.status == "waiting", run.reason

        asyncio.run(park())
        size = _bytes(Path(folder) / "journal")
        command = [sys.executable, "-m", "engine.cli", "runs", "--limit", "20"]
        command += ["--journal", str(Path(folder) / "journal")]
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        return {
            "found_s": cpu,
            "peak_mib": after.ru_maxrss / 1024,
            "kib_a_run": size / runs / 1024,
        }


def _bytes(folder: str | Path) -> int:
    """The size of a journal, without what orch keeps in reserve for a full disk."""
    files = (path for path in Path(folder).rglob("*") if path.is_file())
    return sum(path.stat().st_size for path in files if not path.name.endswith(".reserve"))


def _resident_kib() -> float:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return float(line.split()[1])
    return 0.0


def _disk() -> str:
    """Temporary folders are often in memory, where a durable write costs nothing."""
    base = ROOT / "bench" / ".work"
    base.mkdir(exist_ok=True)
    return str(base)


def _apart(*arguments: object) -> dict[str, float]:
    """A measurement in a process of its own."""
    command = [sys.executable, "-m", "bench.scale", "--measure", json.dumps(arguments)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{arguments} failed:\n{done.stderr[-3000:]}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main(repeat: int = 3, most: int = 10_000) -> None:
    print(f"\nRuns at once in one process, {CALLS} durable calls each (medians of {repeat})\n")
    head = ("", "runs", "CPU/call", "wall/call", "calls/s", "p50", "p99", "KiB/run", "B/task")
    widths = (10, 7, 10, 10, 8, 10, 10, 8, 7)
    print("".join(name.rjust(width) for name, width in zip(head, widths, strict=True)))
    for runs in (1, 10, 100, 1_000, 10_000):
        if runs > most:
            continue
        for name in CONTENDERS:
            if name != "orch" and (runs > 1_000 or not _has_langgraph()):
                continue
            times = 1 if runs == 10_000 or (name != "orch" and runs == 1_000) else repeat
            rows = [_apart("run", name, runs) for _ in range(times)]
            row = {key: statistics.median(r[key] for r in rows) for key in rows[0]}
            cells = (
                name,
                f"{runs:,}",
                f"{row['cpu_us']:.0f} µs",
                f"{row['wall_us']:.0f} µs",
                f"{1e6 / row['wall_us']:,.0f}",
                f"{row['p50_ms']:,.0f} ms",
                f"{row['p99_ms']:,.0f} ms",
                f"{row['kib_a_run']:,.0f}",
                f"{row['bytes_a_task']:,.0f}",
            )
            print("".join(c.rjust(w) for c, w in zip(cells, widths, strict=True)), flush=True)
    print("\n(B/task: bytes in the journal above the task's own kilobyte of result)")
    print("\nTaking up a run again (CPU, medians)\n")
    for rounds, width in ((10, 100), (10, 1000), (1000, 10)):
        rows = [_apart("resume", rounds, width) for _ in range(repeat)]
        cpu = statistics.median(row["cpu_s"] for row in rows)
        each = cpu / (rounds * width) * 1e6
        tasks = f"{rounds * width:>7,} tasks ({rounds} x {width})"
        print(f"  {tasks}: {cpu:.2f} s, {each:.0f} µs a task", flush=True)
    runs = min(10_000, most)
    row = _apart("parked", runs)
    print(f"\n{runs:,} runs that wait for a person: {row['kib_a_run']:.1f} KiB on disk each;")
    spent = f"{row['found_s']:.2f} s of CPU and {row['peak_mib']:.0f} MiB"
    print(f"`orch runs` lists the newest with {spent}")


def _has_langgraph() -> bool:
    return importlib.util.find_spec("langgraph") is not None


def measured(arguments: list[Any]) -> dict[str, float]:
    what, *rest = arguments
    kinds: dict[str, Callable[..., dict[str, float]]] = {
        "run": measure,
        "resume": measure_resume,
        "parked": measure_parked,
    }
    return kinds[what](*rest)


if __name__ == "__main__":
    os.environ.setdefault("PYTHONHASHSEED", "0")
    main()
