"""kill -9 at every item of a fan-out: nothing journaled is made again, and nothing is lost.

The decision in `fanout/` has an `each` of every effect class, one over another, and a `reduce`. Its
process dies before and after each call has had its effect, also where a program means to do its
work after that; then the run is resumed as a person would.
"""

from __future__ import annotations

import json
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from crash_world import World

from engine.events import CallFinished, CallStarted

HERE = Path(__file__).parent
OUTPUT = {"sum": 60, "paid": [1, 2, 3]}
#: What an undisturbed run does, by effect.
EFFECTS = {
    "numbers": "read",
    **{f"look {n}": "read" for n in (1, 2, 3)},
    **{f"weigh {n}": "pure" for n in (1, 2, 3)},
    **{f"store {n}": "write" for n in (1, 2, 3)},
    **{f"pay {n}": "once" for n in (1, 2, 3)},
    "add [10, 20]": "pure",
    "add [30, 30]": "pure",
}
CALLS = len(EFFECTS)


@pytest.fixture
def new_fanout(new_world):
    def new() -> World:
        world = new_world("fanout")
        shutil.copy(HERE / "parcels" / "calls.sh", world.folder / "calls.sh")
        shutil.copy(HERE / "parcels" / "tools.py", world.folder / "desk.py")
        return world

    return new


def settle(world: World) -> dict[str, Any]:
    """Resume until the run has ended, and say of each unknown payment what the log says."""
    for _ in range(12):
        code, stdout, stderr = world.orch("resume", "last", "--format", "json")
        if code < 0:
            continue
        if code in (2, 3):
            if "has ended" in stderr or "finished" in stderr:
                return json.loads(world.orch("show", "last", "--format", "json")[1])
            assert "no run" in stderr, stderr
            world.orch("run")
            continue
        report: dict[str, Any] = json.loads(stdout)
        if code == 0:
            return report
        assert code == 5, (code, stderr)
        for gate in report["gates"]:
            for item in gate["items"]:
                answer = _word_on(world, item["input"]["n"])
                world.orch(
                    "approve", "last", "--gate", gate["key"], "--items", item["item"], *answer
                )
    raise AssertionError("the run does not come to an end")


def _word_on(world: World, number: int) -> list[str]:
    if not world.done()[f"pay {number}"]:
        return ["--not-done"]
    (world.folder / "outcome.json").write_text(json.dumps(number))
    return ["--output", "outcome.json"]


def check(world: World, report: dict[str, Any], story: object) -> None:
    assert (report["status"], report["output"]) == ("finished", OUTPUT), (story, report)
    done = world.done()
    assert done.keys() == EFFECTS.keys(), (story, done)
    for line, effect in EFFECTS.items():
        assert 1 <= done[line] <= 1 + world.crashes * (effect != "once"), (story, line, done)
    finished: set[str] = set()
    started: Counter[str] = Counter()
    for event in world.events():
        if isinstance(event, CallStarted):
            assert event.key not in finished, (story, event.key)
            started[event.key] += 1
        elif isinstance(event, CallFinished):
            finished.add(event.key)
    # A parcel is stored under one key, however often its process has died.
    keys = {tuple(line.split()) for line in (world.folder / "keys").read_text().splitlines()}
    assert len(keys) == 3, (story, keys)
    assert world.outlivers() == [], story


def test_an_undisturbed_run(new_fanout):
    world = new_fanout()
    code, stdout, stderr = world.orch("run", "--format", "json")
    assert code == 0, stderr
    check(world, json.loads(stdout), "undisturbed")
    assert world.done() == Counter(EFFECTS.keys())


@pytest.mark.parametrize(
    ("number", "when"),
    [
        pytest.param(number, when, marks=[] if number in (3, 7, 11) else [pytest.mark.more])
        for number in range(1, CALLS + 1)
        for when in ("before", "after", "late")
    ],
)
def test_killed_in_each_call(new_fanout, number, when):
    world = new_fanout()
    world.kill_at_calls(f"{number} {when}")
    code, _, stderr = world.orch("run")
    assert code < 0, stderr
    check(world, settle(world), (number, when))


@pytest.mark.more
@pytest.mark.parametrize("first", range(2, CALLS - 3, 3))
def test_killed_again_and_again(new_fanout, first):
    world = new_fanout()
    world.kill_at_calls(f"{first} after", f"{first + 2} before", f"{first + 5} late")
    world.orch("run")
    check(world, settle(world), first)
    assert world.crashes >= 2
