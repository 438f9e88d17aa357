"""Each detector of a stall alone, with small written rounds."""

from __future__ import annotations

import pytest

from engine.runtime.stall.distance import moving_away
from engine.runtime.stall.facts import news
from engine.runtime.stall.memory import NOTHING, Fifo, Memory, read
from engine.runtime.stall.open_points import none_closed
from engine.runtime.stall.oscillation import taking_turns
from engine.runtime.stall.repeats import asked_before

GOAL = "Find the cheapest direct flight from Rome to Oslo in May."


def after(*rounds):
    """What is remembered after some rounds of one task: worker, input, output."""
    memory = Memory(GOAL)
    for worker, asked, told in rounds:
        memory.remember(read(worker, asked, told))
    return memory


# ---------------------------------------------------------------- near-repeats


@pytest.mark.parametrize(
    "again",
    [
        "look up direct flights from Rome to Oslo",
        "Look up direct flight from Rome to Oslo!",
        "please look up the direct flights from Rome to Oslo",
        "direct flights from Rome to Oslo, look up",
    ],
)
def test_the_same_question_in_other_words_is_a_repeat(again):
    memory = after(*[("web", {"q": "look up direct flights from Rome to Oslo"}, "none")] * 2)
    found = asked_before(memory, read("web", {"q": again}, "none"))
    assert found.times == 3
    assert found.score > 0.3
    assert asked_before(memory, read("files", {"q": again}, "none")).score == 0


@pytest.mark.parametrize(
    "other",
    [
        {"q": "look up direct flights from Rome to Bergen"},
        {"q": "look up direct flights from Rome to Oslo", "page": 2},
        {"q": "buses"},
    ],
)
def test_a_new_subject_is_another_question(other):
    memory = after(("web", {"q": "look up direct flights from Rome to Oslo"}, "none"))
    found = asked_before(memory, read("web", other, "none"))
    assert found.new_subject
    assert found.score <= 0.1


# ---------------------------------------------------------------- facts


def test_new_facts_are_numbers_names_links_and_paths():
    seen = (
        "web",
        {"q": "flights"},
        "See https://air.example/list?id=1 or /data/list.csv, 79 euros",
    )
    memory = after(seen)
    assert news(memory, read("web", {"q": "flights"}, seen[2])) == 0
    other_query = seen[2].replace("id=1", "id=2")
    assert news(memory, read("web", {"q": "flights"}, other_query)) == 0
    for old, new in (("79", "89"), ("list.csv", "list2.csv"), ("air.example", "rail.example")):
        fresh = read("files", {"q": "flights"}, seen[2].replace(old, new))
        assert 0.1 < news(memory, fresh) < 0.5


def test_what_the_input_or_the_goal_says_is_no_news():
    assert news(Memory(GOAL), read("web", {"q": "SAS"}, "SAS: Rome, Oslo")) == 0
    assert news(Memory(GOAL), read("web", {"q": "SAS"}, "SAS: SK4712")) == 0.5


def test_a_clock_is_no_news_and_a_number_on_its_way_is():
    memory = after(("job", {}, "Looked at the queue, attempt 1 at 10:00:00, nothing there"))
    ticking = read("job", {}, "Looked at the queue, attempt 2 at 10:00:07, nothing there")
    assert news(memory, ticking) < 0.1
    for first, second in (
        ("fixed 1 of 10 files", "fixed 2 of 10 files"),
        ("the job is 10% done", "the job is 20% done"),
        ({"done": 3, "total": 9}, {"done": 4, "total": 9}),
        ({"count": 3}, {"count": 4}),
        (3, 4),
    ):
        assert news(after(("job", {}, first)), read("job", {}, second)) == 1, second


def test_scripts_without_capitals_have_facts_too():
    memory = after(("web", {"q": "航班"}, "最便宜的航班是周二上午的北欧航空"))
    assert news(memory, read("web", {"q": "航班"}, "最便宜的航班是周二上午的北欧航空。")) == 0
    assert news(memory, read("web", {"q": "航班"}, "瑞安航空从贝加莫飞往托尔普机场")) > 0.5


# ---------------------------------------------------------------- two workers, open points, goal


def test_two_workers_take_turns():
    memory = Memory(GOAL)
    for place in range(4):
        assert taking_turns(memory).score == 0
        memory.turns.append(((("web", "files")[place % 2],), 0.9))
    found = taking_turns(memory)
    assert found.score == 0.9
    assert found.why == "`web` and `files` take turns and bring no new facts"
    memory.turns.append((("web",), 0.1))  # one of them brought something
    assert taking_turns(memory).score == 0.1
    memory.turns.append((("mail",), 0.9))
    assert taking_turns(memory).score == 0


def test_open_points_are_failed_tasks_and_checks():
    memory = Memory(GOAL)
    failed = read("book", {"flight": "DY1873"}, None, failed=True)
    found, _ = none_closed(memory, [failed], [("after_round priced", False)])
    assert found.score == 0
    other = [read("web", {"q": "x"}, "y")]
    first, _ = none_closed(memory, other, [("after_round priced", False)])
    second, closed = none_closed(memory, other, [])
    assert 0 < first.score < second.score < 1
    assert second.why == "none of 2 open points was closed in 2 rounds"
    assert not closed
    done = read("book", {"flight": "DY1873"}, "booked")
    found, closed = none_closed(memory, [done], [])
    assert (found.score, closed) == (0, True)
    found, _ = none_closed(memory, [], [])
    assert found.why == "the open point was not closed in 1 round"
    found, closed = none_closed(memory, [], [("after_round priced", True)])
    assert (found.score, closed) == (0, True)
    assert none_closed(memory, [], []) == (NOTHING, False)


def test_an_open_point_that_is_given_up_is_forgotten():
    memory = Memory(GOAL)
    none_closed(memory, [read("book", {"flight": "DY1873"}, None, failed=True)], [])
    scores = [none_closed(memory, [], [])[0].score for _ in range(12)]
    assert scores[0] > 0
    assert scores[-1] == 0


def test_only_growing_distance_from_the_goal_counts():
    memory = Memory(GOAL)
    near = [read("web", {"q": "cheapest direct flight Rome Oslo May"}, "")]
    far = [read("web", {"q": "contact form of the museum"}, "")]
    assert [moving_away(memory, near).score for _ in range(3)] == [0, 0, 0]
    scores = [moving_away(memory, far).score for _ in range(3)]
    assert 0 < scores[0] < scores[1] < scores[2] <= 1
    always_far = Memory(GOAL)
    assert [moving_away(always_far, far).score for _ in range(3)] == [0, 0, 0]


# ---------------------------------------------------------------- bounds


def test_what_is_read_and_kept_is_bounded():
    memory = Memory(GOAL)
    for number in range(300):
        worker = f"w{number}"
        for place in range(20):
            asked = {"q": " ".join(f"a{number}x{place}x{i}" for i in range(200))}
            told = " ".join(f"t{number}x{place}x{i}" for i in range(20))
            memory.remember(read(worker, asked, told))
            if number > 40 and place:
                break
    assert len(memory.known) == 8_192
    assert len(memory.asks) == 32
    assert len(memory.asked_facts) == 2_048
    assert len(memory.looks) == 256
    assert all(len(sketch) <= 64 for _, asks in memory.asks.items() for sketch in asks)
    assert all(len(asks) <= 16 for _, asks in memory.asks.items())


def test_of_a_large_value_parts_from_everywhere_are_read():
    page = [f"line {number}" for number in range(100_000)]
    entry = read("web", {}, page)
    assert 0 < len(entry.told.tokens) < 1_000
    memory = after(("web", {}, page))
    assert news(memory, read("web", {}, [*page[:-2], "DY1873", "SK4712"])) > 0
    text = "word " * 400_000
    assert news(after(("web", {}, text)), read("web", {}, text + "DY1873")) > 0
    assert read("web", {}, {str(n): n for n in range(100_000)}).told.numbers[0] == 0
    assert read("web", {}, 10**6_000).told.tokens == {}


def test_the_oldest_key_is_pushed_out():
    kept: Fifo[int, str] = Fifo(2)
    for key in (1, 2, 1, 3):
        kept.put(key, str(key))
    assert kept.items() == [(2, "2"), (3, "3")]
    assert kept.drop(2)
    assert not kept.drop(2)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        1.5,
        float("nan"),
        "",
        [],
        {},
        [[["x"]]],
        "see https://x.example/\ud800",
        "/" * 9000,
    ],
    ids=range(10),
)
def test_any_value_can_be_read(value):
    assert 0 <= news(Memory(GOAL), read("web", {"q": value}, value)) <= 1
