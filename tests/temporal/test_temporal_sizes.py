"""Bounds on sizes on a cluster: the failures are those of one machine, and no step is too large."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.temporal

TOOLS = """
import random
def page():
    letters = random.Random(7)  # that do not compress to nothing
    return "".join(letters.choices("abcdefghijklmnopqrstuvwxyz", k=1_000_000))
def join(pages):
    return len(pages)
"""
PROGRAM = """orch 1
model planner { id = "scripted/script.json" }
worker page() -> string via python { call = "tools:page" }
worker join(pages: string[]) -> int via python { call = "tools:join"  effect = pure }
orchestrator main() -> int {
  model = planner  goal = "g"  workers = [page, join]  policy { max_rounds = 4 }
}
"""
#: What a host may take in memory, in MiB, which is 80 before it has done anything.
MOST_MIB = 320


def joins(name: str, count: int, references: int) -> dict[str, Any]:
    """A decision; each task has another input, so that none is looked up."""
    pages = [{"$from": "a"}] * references
    return {
        "tasks": [
            {"id": f"{name}{n}", "worker": "join", "input": {"pages": [f"{name}{n}", *pages]}}
            for n in range(count)
        ]
    }


def written(desk: Any, *decisions: dict[str, Any]) -> None:
    desk.write("tools.py", TOOLS)
    desk.write("main.orch", PROGRAM)
    first = {"tasks": [{"id": "a", "worker": "page", "input": {}}]}
    desk.write("script.json", json.dumps([first, *decisions, {"finish": 1}]))


def peak_mib(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    assert found is not None
    return int(found[1]) // 1024


def test_inputs_that_fit_one_by_one_are_sent_one_by_one(desk: Any) -> None:
    written(desk, joins("b", 8, references=1))
    desk.host("main.orch")
    code, out, said = desk.orch("run", "main.orch", "--format", "json")
    assert code == 0, said
    assert json.loads(out)["failures"] == []


@pytest.mark.skipif(sys.platform != "linux", reason="asks the kernel")
def test_a_host_bears_large_inputs_and_refuses_larger_ones(desk: Any) -> None:
    blobs = str(desk.folder / "blobs")
    desk.settings.update(blobs=blobs, heartbeat="20s")
    written(desk, joins("b", 8, references=6), joins("c", 2, references=2000))
    host = desk.host("main.orch", "--blobs", blobs)
    code, out, said = desk.orch("run", "main.orch", "--format", "json")
    assert code == 0, said
    failures = {failure["task"]: failure["mode"] for failure in json.loads(out)["failures"]}
    assert failures == {"c0": "unmet_reference", "c1": "unmet_reference"}
    assert peak_mib(host.process.pid) < MOST_MIB
