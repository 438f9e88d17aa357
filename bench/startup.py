"""Start-up and lint: CPU of whole processes, from start to exit, byte code cached."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

#: One worker, its schema and its prompt: 20 lines that use most of what the checker checks.
UNIT = '''
/// What worker {n} finds.
schema Finding{n} {{
  /// One checkable statement.
  claim:      string @length(10, 400)
  confidence: "low" | "medium" | "high"
  sources:    {{ url: url, title: string }}[] @items(min: 1, max: 8)
  quote:      string?
}}

/// Answers one focused question.
worker answer{n}(question: string, limit: int = {n}) -> Finding{n}[] fails not_found via llm {{
  model   = fast
  prompt  = """
Question {n}: {{{{ question }}}} (at most {{{{ limit }}}} findings)
Answer from what you know; name at least one source for each finding.
"""
  repair  {{ max = 2 }}
  timeout = 60s
}}
'''

HEAD = """orch 1

model fast { id = "openai/gpt-5-mini" }
"""

TAIL = """
orchestrator ask(topic: string) -> {{ summary: string }} {{
  model   = fast
  goal    = "Explain {{{{ topic }}}}."
  workers = [{workers}]
  policy  {{
    max_rounds = 3
    budget {{ cost = $1.00  time = 5m }}
    stall  {{ after = 2  action = replan }}
  }}
}}
"""


def program(lines: int) -> str:
    """A program of about so many lines that lints without an error."""
    count = max(1, (lines - 12) // (UNIT.count("\n")))
    units = "".join(UNIT.format(n=n) for n in range(count))
    workers = ",\n             ".join(f"answer{n}" for n in range(count))
    return HEAD + units + TAIL.format(workers=workers)


def cpu_ms(arguments: list[str]) -> float:
    """CPU of a process in milliseconds, user and system, from start to exit."""
    before = os.times()
    done = subprocess.run(arguments, capture_output=True, check=False)
    after = os.times()
    if done.returncode not in (0, 1):
        raise SystemExit(f"{arguments} failed: {done.stderr.decode()[-2000:]}")
    spent = after.children_user + after.children_system
    return (spent - before.children_user - before.children_system) * 1000


def main(repeat: int = 5) -> None:
    orch = [str(Path(sys.executable).parent / "orch")]
    with tempfile.TemporaryDirectory() as folder:
        cases = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "orch --version": [*orch, "--version"],
        }
        for lines in (200, 1_000, 10_000):
            path = Path(folder) / f"lines{lines}.orch"
            text = program(lines)
            path.write_text(text)
            cases[f"orch lint, {text.count(chr(10)):,} lines"] = [*orch, "lint", str(path)]
        print("\nCPU of a whole process, in ms (median)\n")
        for name, arguments in cases.items():
            runs = [cpu_ms(arguments) for _ in range(repeat + 1)][1:]
            print(f"  {statistics.median(runs):8.0f}  {name}", flush=True)


if __name__ == "__main__":
    main()
