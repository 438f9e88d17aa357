"""kill -9 at every position of a run's journal, then `orch resume`: nothing lost, nothing twice.

The desk in `parcels/` has every effect class, a gate, a sub-orchestrator, retries and workers via
python, command and http. Its process dies before a commit, after it, in the middle of it, and in
the middle of each call, also by programs that mean to do their work after its death; an operator
does what a person would with the real command line. What really happened is counted outside of the
processes that die: by a log and by the shop.

`ORCH_CRASHES=N` sets how many random stories of several deaths are played (`make test-crash`);
`ORCH_CRASH_SEED=S` begins with another one than the first.
"""

from __future__ import annotations

import json
import os
import random
from collections import Counter
from typing import Any

import crash_child
import pytest
from crash_child import Kill
from crash_world import OUTPUT, UNDISTURBED, Account, World

from engine.journal import SqliteJournal

CRASHES = int(os.environ.get("ORCH_CRASHES", "3"))
FIRST = int(os.environ.get("ORCH_CRASH_SEED", "0"))
#: Bytes between two deaths in the middle of a commit; a prime, to meet every part of a page.
STRIDE = 40_009 if CRASHES < 100 else 2_003


def check(world: World, report: dict[str, Any], story: object) -> None:
    """A run that died and was taken up has done what an undisturbed one does."""
    assert (report["status"], report["output"]) == ("finished", OUTPUT), story
    account = Account(world.events())
    done = world.done()
    assert done.keys() == UNDISTURBED.keys(), story
    for line, (effect, usual) in UNDISTURBED.items():
        where = (story, line, done)
        assert account.ended[line] <= done[line] <= account.started[line], where
        # Each call that began and has no end was reported as cut off, once.
        assert account.started[line] - account.ended[line] == account.lost[line], where
        assert usual <= done[line] <= usual + world.crashes * (effect != "once"), where
    assert world.orders() == {"lamp": 1, "vase": 1}, story
    assert report["lost"] == account.reported, story
    assert world.outlivers() == [], story


def test_an_undisturbed_run(new_world):
    world = new_world()
    world.run()
    report = world.settle()
    check(world, report, "undisturbed")
    assert world.done() == Counter({line: usual for line, (_, usual) in UNDISTURBED.items()})
    assert (world.crashes, report["lost"]) == (0, 0)


@pytest.mark.more
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_each_write_of_a_run(new_world, when):
    write = 1
    while (world := new_world()).killed(crash_child.begin, kill := Kill(write, when)):
        check(world, world.settle(), kill)
        write += 1
    # The run, its start, three rounds of a decision and its tasks, and the gate.
    assert write > 15


@pytest.mark.more
@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_each_write_of_an_answer(new_world, when):
    write = 1
    while True:
        world = new_world()
        world.run()
        if not world.killed(crash_child.approve, kill := Kill(write, when)):
            break
        check(world, world.settle(), kill)
        write += 1
    assert write > 4


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_the_first_writes_of_a_fork(new_world, when):
    for write in range(1, 4):
        world = new_world()
        world.run()
        world.settle()
        parent = world.events()
        effects = {line for line, (effect, _) in UNDISTURBED.items() if effect == "once"}
        done = {line: world.done()[line] for line in effects}
        assert world.killed(crash_child.fork, kill := Kill(write, when))
        runs = json.loads(world.orch("runs", "--format", "json")[1])
        # It is there with all that it shares with its parent, or not at all.
        assert len(runs) == (1 if (write, when) == (1, "before") else 2), kill
        code, _, stderr = world.orch("resume", "last")
        assert code == (0 if len(runs) == 1 else 5), (kill, stderr)
        with SqliteJournal(world.journal) as journal:
            assert journal.read(runs[-1]["run"]) == parent
        assert {line: world.done()[line] for line in effects} == done, kill


@pytest.mark.more
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", range(1, sum(n for _, n in UNDISTURBED.values()) + 1))
def test_killed_in_each_call(new_world, number, when):
    world = new_world()
    world.kill_at_calls(f"{number} {when}")
    world.run()
    report = world.settle()
    check(world, report, f"killed {when} call {number}")
    assert world.crashes == 1
    assert report["lost"] >= 1


@pytest.mark.more
@pytest.mark.parametrize("number", range(1, sum(n for _, n in UNDISTURBED.values()) + 1))
def test_a_program_that_kills_the_engine_in_a_call_does_not_outlive_it(new_world, number):
    send = "send program" if number % 2 else "send apart"
    world = new_world(kinds=[send, "weigh apart"])
    world.kill_at_calls(f"{number} late")
    world.run()
    check(world, world.settle(), f"killed late in call {number}")
    assert world.crashes == 1


@pytest.mark.more
@pytest.mark.parametrize("lane", range(4))
def test_killed_in_the_middle_of_commits(new_world, lane):
    size = 1 + lane * STRIDE
    while (world := new_world()).killed(crash_child.begin, kill := Kill(size, "within")):
        check(world, world.settle(), kill)
        size += 4 * STRIDE
    # How much is written depends on how many events share a commit.
    assert size > 8 * STRIDE


@pytest.mark.parametrize("seed", range(FIRST, FIRST + CRASHES))
def test_killed_again_and_again(new_world, seed):
    chance = random.Random(seed)
    kinds = [*chance.choice(([], ["send apart"], ["send program"]))]
    kinds += chance.choice(([], ["weigh apart"]))
    world = new_world(kinds=kinds)
    calls = sorted(chance.sample(range(1, 24), chance.randint(0, 3)))
    kills = [f"{number} {chance.choice(('before', 'after', 'late', 'late'))}" for number in calls]
    world.kill_at_calls(*kills)
    story: list[object] = [kinds, kills]
    world.killed(crash_child.begin, first := Kill(chance.randint(2, 30), "after"))
    story.append(first)
    for _ in range(chance.randint(1, 3)):
        kill = Kill(chance.randint(1, 12), chance.choice(("before", "after")))
        how = crash_child.resume
        story.append((kill, world.killed(how, kill)))
    report = world.settle()
    check(world, report, (seed, story))
    print(f"killed {world.crashes} times: {story}")
    shown = world.orch("show", "last")[1]
    assert (f"cut off when a process stopped: {report['lost']} call" in shown) == (
        report["lost"] > 0
    )
