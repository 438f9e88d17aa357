"""`stall` on the command line: circles end, progress that only looks alike does not."""

from __future__ import annotations

import json

import pytest

PROGRAM = """orch 1

model planner { id = "scripted/script.json" }

worker web(query: string) -> string via python { call = "site:web" }
worker shop(page: int) -> json via python { call = "site:shop" }
worker queue() -> json via python { call = "site:queue" }
worker book(flight: string) -> string via python { call = "site:book" }

orchestrator travel() -> string {
  model   = planner
  goal    = "Find the cheapest direct flight from Rome to Oslo."
  workers = [web, shop, queue, book]
  policy { max_rounds = 12  STALL }
}
"""

SITE = """
import engine
from pathlib import Path

HERE = Path(__file__).parent


def count(name):
    with open(HERE / name, "a") as file:
        file.write("x")
    return len((HERE / name).read_text())


def web(query):
    return "Nothing found" + "!" * count("web") + f" (request {count('request')})"


def shop(page):
    return {"page": page, "items": [f"product {page}-{place}" for place in range(5)]}


def queue():
    return {"done": count("queue"), "total": 50}


def book(flight):
    if count("book") < 3:
        raise engine.Failure("crashed", f"busy, try again, ticket {count('ticket')}")
    return f"{flight} is booked, reference KX93PL"
"""


def task(number, worker, **input):
    return {"tasks": [{"id": f"t{number}", "worker": worker, "input": input}]}


ASKS = [
    {"query": "cheapest direct flight Rome Oslo"},
    {"query": "cheapest direct flights Rome Oslo"},
    {"query": "the cheapest direct flight, Rome to Oslo"},
]
CIRCLES = [task(n, "web", **ASKS[n % 3]) for n in range(12)]
DONE = [{"finish": "DY1873"}]


@pytest.fixture
def travel(desk):
    def run(script, stall="stall { after = 2  action = abort }"):
        (desk.folder / "a.orch").write_text(PROGRAM.replace("STALL", stall))
        (desk.folder / "site.py").write_text(SITE)
        (desk.folder / "script.json").write_text(json.dumps(script))
        done = desk.orch("run", "a.orch", "--format", "json")
        return json.loads(done.stdout)

    return run


def test_circles_with_one_byte_of_difference_are_stopped(travel, desk):
    run = travel(CIRCLES)
    assert run["status"] == "aborted"
    assert run["rounds"] < 8
    assert (
        "stalled: no progress for 2 rounds (`web` was asked nearly the same for the"
        in run["reason"]
    )
    assert desk.orch("replay", "last").returncode == 0


def test_a_new_plan_is_asked_for_with_the_reason(travel, desk):
    run = travel([*CIRCLES[:5], *DONE], "stall { after = 2  action = replan }")
    assert run["status"] == "finished", run["reason"]
    shown = desk.orch("show", "last", "--format", "json").stdout
    assert "was asked nearly the same for the" in shown


@pytest.mark.parametrize(
    "script",
    [
        [task(n, "shop", page=n) for n in range(10)],
        [task(n, "queue") for n in range(10)],
        [
            *(task(n, "book", flight="DY1873") for n in range(3)),
            task(3, "web", query="seats of DY1873"),
        ],
    ],
    ids=["pages", "a counter", "a retry that succeeds"],
)
def test_progress_that_looks_alike_is_not_stopped(travel, script):
    after = 3 if script[0]["tasks"][0]["worker"] == "book" else 2  # two rounds that failed
    run = travel([*script, *DONE], f"stall {{ after = {after}  action = abort }}")
    assert run["status"] == "finished", run["reason"]


def test_sensitivity_0_is_the_exact_rule(travel):
    stall = "stall { after = 2  action = abort  sensitivity = 0 }"
    assert travel([*CIRCLES[:9], *DONE], stall)["status"] == "finished"


def test_a_sensitivity_beyond_1_is_reported(desk):
    stall = "stall { after = 2  action = abort  sensitivity = 70 }"
    (desk.folder / "a.orch").write_text(PROGRAM.replace("STALL", stall))
    (desk.folder / "site.py").write_text(SITE)
    done = desk.orch("lint", "a.orch")
    assert done.returncode == 1
    assert "`sensitivity`" in done.stdout + done.stderr
