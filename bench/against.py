"""Two checkouts side by side: `python -m bench --against PATH`, the CPU of whole commands.

Each command is run in this checkout and in the other one in turn, so a busy minute hurts both
alike. The first run of each, which writes caches and byte code, is not counted. The other checkout
needs an environment of its own in `.venv`, and both need byte code: unset
PYTHONDONTWRITEBYTECODE.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from bench.startup import program

ROOT = Path(__file__).resolve().parents[1]

#: How many tasks the run has that is approved.
TASKS = 4_000

GATED = """orch 1
model planner { id = "scripted/script.json" }
/// Works.
worker work(question: string) -> { text: string } via python {
  call = "tools:work"  effect = pure
}
verifier ok(result: string) via human { message = "Fine?" }
orchestrator main() -> string {
  model = planner  goal = "Go."  workers = [work]
  policy { max_rounds = 3  max_per_round = TASKS  max_parallel = TASKS }
  verify { before_finish { with = ok } }
}
"""

#: Prepares a folder with this `orch`, and gives the command that is to be measured there.
Case = Callable[[Path, str], list[str]]


def cpu_ms(command: list[str], folder: Path) -> float:
    """CPU of a process in milliseconds, user and system, from start to exit."""
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(command, cwd=folder, stdout=quiet, stderr=quiet)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, 1):
        raise SystemExit(f"{command} ended with {process.returncode}")
    return (usage.ru_utime + usage.ru_stime) * 1000


def lint_case(lines: int) -> Case:
    def prepare(folder: Path, orch: str) -> list[str]:
        (folder / "main.orch").write_text(program(lines))
        return [orch, "lint", "main.orch"]

    return prepare


def approve_case(folder: Path, orch: str) -> list[str]:
    """A run of many tasks that waits for a word on its result."""
    (folder / "main.orch").write_text(GATED.replace("TASKS", str(TASKS)))
    (folder / "tools.py").write_text('def work(question):\n    return {"text": "x" * 200}\n')
    tasks = [
        {"id": f"t{number}", "worker": "work", "input": {"question": f"question {number}"}}
        for number in range(TASKS)
    ]
    script = [{"assessment": "go", "tasks": tasks}, {"assessment": "done", "finish": "fine"}]
    (folder / "script.json").write_text(json.dumps(script))
    subprocess.run([orch, "run", "main.orch", "-q"], cwd=folder, capture_output=True, check=False)
    return [orch, "approve", "last", "-q"]


CASES: dict[str, Case] = {
    "orch lint, 200 lines": lint_case(200),
    "orch lint, 10,000 lines": lint_case(10_000),
    f"orch approve, {TASKS:,} tasks": approve_case,
}


def measured(prepare: Case, orch: str) -> Iterator[float]:
    """One measurement after the other, each in a folder of its own."""
    while True:
        with tempfile.TemporaryDirectory() as folder:
            yield cpu_ms(prepare(Path(folder), orch), Path(folder))


def main(other: Path, repeat: int) -> None:
    here, there = (str(root / ".venv" / "bin" / "orch") for root in (ROOT, other.resolve()))
    if os.environ.get("PYTHONDONTWRITEBYTECODE"):
        sys.exit("PYTHONDONTWRITEBYTECODE is set: this would measure the compiler of Python")
    print(f"\nCPU of a whole process, in ms (median of {repeat} pairs, and the range)\n")
    for name, prepare in CASES.items():
        pairs = zip(measured(prepare, there), measured(prepare, here), strict=True)
        next(pairs)
        theirs, ours = zip(*(next(pairs) for _ in range(repeat)), strict=True)
        ratio = statistics.median(own / other for other, own in zip(theirs, ours, strict=True))
        cells = "  ->  ".join(
            f"{statistics.median(side):6.0f} ({min(side):.0f} to {max(side):.0f})"
            for side in (theirs, ours)
        )
        print(f"  {cells}   {ratio:6.1%}   {name}", flush=True)
