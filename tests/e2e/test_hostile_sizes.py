"""What a small decision can make a whole process take: memory, disk, output; in a run and after it.

The planner is talked into the worst, the workers are honest. Each command runs with the address
space of a small machine, and its peak of resident memory is read from the kernel.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="the kernel tells kilobytes")

#: No decision of 64 KB may take more resident memory than this, in MiB.
MOST_MIB = 256
DECISION_BYTES = 64 * 1024
ADDRESS_SPACE = 2 * 1024**3

TOOLS = """
import os, pathlib, signal
def page(n=0): return "x" * 1_000_000
def wide(n=0): return "x" * 1_000_000 + "\\N{GRINNING FACE}"
def rows(n=0): return [{"row": i} for i in range(20_000)]
def numbers(n=0): return list(range(150_000))
def join(pages): return len(pages)
def echo(value): return value
def take(items): return len(items)
def fall(n=0):
    if not pathlib.Path("fallen").exists():
        pathlib.Path("fallen").write_text("")
        os.kill(os.getpid(), signal.SIGKILL)
    return 1
def largest(state):
    done = {t: r["output"] for t, r in state.tasks.items() if r["status"] == "done"}
    if not done:
        return {"tasks": [{"id": "t0", "worker": "page", "input": {}}]}
    names = list(done)[-8:]
    last = names[state.round % len(names)]
    tasks = [
        {"id": f"r{state.round}t{n}", "worker": "echo",
         "input": {"value": [{"$from": last}, {"$from": last}]}}
        for n in range(8)
    ]
    return {"tasks": tasks}
"""
HEAD = 'orch 1\nmodel planner { id = "%s" }\n'
SIMPLE = {"page": "string", "wide": "string", "rows": "json", "numbers": "json", "fall": "int"}
WORKERS = "".join(
    f'worker {name}(n: int = 0) -> {type_} via python {{ call = "tools:{name}" }}\n'
    for name, type_ in SIMPLE.items()
)
WORKERS += f"schema Item {{ words: int[] = {list(range(500))} }}\n"
WORKERS += """
worker join(pages: string[]?) -> int via python { call = "tools:join"  effect = pure }
worker echo(value: json) -> json via python { call = "tools:echo" }
worker take(items: Item[]) -> int via python { call = "tools:take" }
orchestrator child(text: string) -> int {
  model = planner  goal = "do {{ text }}"  workers = [page]  policy { max_rounds = 1 }
}
"""
MAIN = """
orchestrator main() -> json {
  model = planner  goal = "g"
  workers = [page, wide, rows, numbers, fall, join, echo, take, child]
  policy { max_rounds = %s  max_per_round = 3000  budget { time = 30s } }
}
"""


class Done(NamedTuple):
    code: int
    out: str
    said: str
    peak_mib: int


#: Starts a command from a small process, and writes down its peak and its code: a process begins
#: with the peak of the one that started it, and that of the tests may be large.
LAUNCHER = """
import resource, subprocess, sys
limit = int(sys.argv[2])
done = subprocess.run(
    sys.argv[3:], preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
)
with open(sys.argv[1], "w") as file:
    file.write(f"{resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss} {done.returncode}")
"""


def orch(*arguments: str, cwd: Path) -> Done:
    """Run a command in a small address space, and see how much memory it took."""
    out, said, peak = cwd / "out.txt", cwd / "said.txt", cwd / "peak.txt"
    command = [sys.executable, "-m", "engine.cli", *arguments]
    with out.open("w") as stdout, said.open("w") as stderr:
        subprocess.run(
            [sys.executable, "-c", LAUNCHER, str(peak), str(ADDRESS_SPACE), *command],
            cwd=cwd,
            stdout=stdout,
            stderr=stderr,
            check=True,
        )
    text = said.read_text()
    assert "Traceback" not in text
    assert "internal error" not in text
    peak_kib, code = map(int, peak.read_text().split())
    return Done(code, out.read_text(), text, peak_kib // 1024)


@pytest.fixture
def play(tmp_path: Path) -> Callable[..., tuple[Done, dict[str, Any]]]:
    """Run a program with the planner's decisions given, then show it."""

    def play(*decisions: dict[str, Any], model: str = "scripted/plan.json", rounds: int = 4):
        for decision in decisions:
            assert len(json.dumps(decision, separators=(",", ":"))) <= DECISION_BYTES
        (tmp_path / "main.orch").write_text(HEAD % model + WORKERS + MAIN % rounds)
        (tmp_path / "tools.py").write_text(TOOLS)
        (tmp_path / "plan.json").write_text(json.dumps({"entries": {"decision:main": decisions}}))
        run = orch("run", "main.orch", "main", cwd=tmp_path)
        if run.code == -9:
            run = orch("resume", "last", cwd=tmp_path)
        # Whoever takes a run over, or shows it, goes through all of it again.
        shown = orch("show", "last", "--format", "json", cwd=tmp_path)
        for done in (run, shown):
            assert done.code >= 0
            assert done.peak_mib < MOST_MIB
        return run, json.loads(shown.out)

    return play


def ref(task: str, at: str = "") -> dict[str, str]:
    return {"$from": task, "at": at} if at else {"$from": task}


def tasks(*specs: tuple[str, str, dict[str, Any]]) -> dict[str, Any]:
    return {"tasks": [{"id": i, "worker": w, "input": v} for i, w, v in specs]}


FINISH = {"finish": 1}


def failures(report: dict[str, Any]) -> set[str]:
    return {failure["mode"] for failure in report["failures"]}


@pytest.mark.parametrize("source", ["page", "wide", "rows"])
def test_an_output_referred_to_thousands_of_times(play, source):
    run, report = play(
        tasks(("a", source, {})),
        tasks(
            ("b", "echo", {"value": [ref("a")] * 4000}), ("c", "echo", {"value": [ref("a")] * 2})
        ),
        FINISH,
    )
    assert (run.code, failures(report)) == (0, {"unmet_reference"})
    assert "b echo: failed, unmet_reference" in run.said


def test_many_tasks_at_once_with_as_much_as_an_input_may_take(play):
    wide = (("b" + str(n), "join", {"pages": [str(n), *[ref("a")] * 15]}) for n in range(24))
    run, report = play(tasks(("a", "page", {})), tasks(*wide), FINISH)
    assert (run.code, failures(report)) == (0, set())


def test_a_thousand_tasks_that_each_give_a_megabyte(play):
    run, report = play(tasks(*((f"a{n}", "page", {"n": n}) for n in range(1200))), FINISH)
    assert (run.code, report["bound"]) == (4, "max_kept_bytes")


def test_a_thousand_children_whose_goals_are_made_from_a_megabyte(play):
    children = ((f"b{n}", "child", {"text": ref("a")}) for n in range(1000))
    run, report = play(tasks(("a", "page", {})), tasks(*children), FINISH)
    assert (run.code, report["bound"]) == (4, "max_kept_bytes")


def test_values_that_are_wrong_a_hundred_thousand_times(play):
    run, report = play(
        tasks(("a", "numbers", {})),
        tasks(*((f"b{n}", "join", {"pages": ref("a")}) for n in range(8))),
        tasks(("c", "join", {"pages": list(range(10_000))})),
        FINISH,
    )
    assert (run.code, failures(report)) == (0, {"unmet_reference"})


def test_defaults_that_multiply(play):
    run, report = play(tasks(("a", "take", {"items": [{}] * 20_000})), FINISH)
    assert run.code == 0
    assert "takes more than 16 MiB" in report["history"][0]["rejected"][0]


def test_names_and_pointers_of_any_length(play):
    run, report = play(
        tasks(("a", "rows", {})),
        tasks(("b", "echo", {"value": [ref("a", "/" + "q" * 60_000)]})),
        tasks(("c", "echo", {"value": {"k" * 20_000: [ref("z" * 100)] * 300}})),
        tasks(("d" * 60_000, "echo", {"value": 1})),
        FINISH,
    )
    assert run.code == 0
    assert max(len(it) for r in report["history"] for it in r["rejected"]) < 20_000
    assert max(len(failure["message"]) for failure in report["failures"]) < 10_000


def test_a_run_whose_process_was_killed_beside_it_can_be_resumed(play):
    run, report = play(
        tasks(("a", "page", {})),
        tasks(("b", "echo", {"value": [ref("a")] * 4000}), ("c", "fall", {})),
        FINISH,
    )
    assert (run.code, failures(report)) == (0, {"unmet_reference"})
    assert report["lost"] == 1


def test_outputs_that_double_until_the_run_is_full(play, tmp_path):
    run, report = play(model="python/tools:largest", rounds=1000)
    assert (run.code, report["bound"]) == (4, "max_kept_bytes")
    # The end is told at once, and says how to get the rest.
    assert len(run.out) < 1_100_000
    assert "the whole: orch show" in run.said
    size = sum(path.stat().st_size for path in (tmp_path / ".orch").iterdir())
    assert size < 160 * 1024**2
