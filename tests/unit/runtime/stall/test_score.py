"""The score of rounds: circles with small differences, and progress that looks alike."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.runtime.stall.memory import Memory, read
from engine.runtime.stall.score import judge
from engine.sema.settings.table import default_of

GOAL = "Find the cheapest direct flight from Rome to Oslo in May and say what it costs."
ASK = {"query": "cheapest direct flight Rome Oslo May"}
THRESHOLD = 1 - default_of("stall", "sensitivity")
ASKS = (
    "cheapest direct flight Rome Oslo May",
    "cheap direct flights from Rome to Oslo in May",
    "direct flights Rome to Oslo May cheapest price",
    "find the cheapest flight Rome Oslo direct in May",
    "Rome Oslo May direct flight cheapest",
    "cheapest nonstop flight from Rome to Oslo, May",
    "price of cheapest direct Rome-Oslo flight in May",
    "cheapest direct Rome to Oslo flights May",
)
SAYS = (
    "I could not find any direct flights.",
    "No direct flights were found for that route.",
    "Sorry, there are no results for this search.",
    "The search did not return any direct flights.",
    "Nothing was found.",
    "There were no direct flights in the results.",
    "I was unable to find direct flights.",
    "No results for this route were found.",
)
WEAK = ("plot", "hero", "end", "pace")
PAGE = " ".join(f"Airline{number} costs {number * 3} euros." for number in range(300))


def web(told, count=8):
    return [("web", ASK, told(number)) for number in range(count)]


CIRCLES = {
    "a counter in words": web(lambda n: f"Nothing found for your query (attempt {n})."),
    "a clock": web(lambda n: f"Nothing found at 12:00:{n:02}."),
    "a request id": web(lambda n: {"status": "empty", "request": f"{n * 7919:08x}"}),
    "one more dot": web(lambda n: "No flights match your search" + "." * n),
    "one letter": web(lambda n: "No flights match your search" + "abcdefghij"[n]),
    "one byte of a large page": web(lambda n: f"{PAGE} {n}"),
    "other words each time": [
        ("web", {"query": ask}, say) for ask, say in zip(ASKS, SAYS, strict=True)
    ],
    "two workers in turns": [
        ("web", {"query": ASKS[n]}, f"Please ask the file reader for prices {n}")
        if n % 2
        else ("files", {"q": ASKS[n]}, f"Please ask the web for prices {n}")
        for n in range(8)
    ],
    "failing in other words": [("web", {"query": ask}, None) for ask in ASKS],
}

PROGRESS = {
    "a counter": [("count", {}, {"count": n}) for n in range(20)],
    "a bare number": [("count", {}, n) for n in range(20)],
    "so many of ten": [("fix", {}, f"fixed {n} of 10 files") for n in range(10)],
    "percent": [("job", {"id": "j1"}, f"The job is {10 * n}% done") for n in range(10)],
    "pages": [
        ("shop", {"page": n}, {"page": n, "items": [f"product{n}x{i}" for i in range(10)]})
        for n in range(20)
    ],
    "pages in words": [
        ("shop", f"Open page {n} of the product list", f"Page {n}: Item{n * 2}, Item{n * 2 + 1}")
        for n in range(20)
    ],
    "the next rows": [("rows", {}, [f"row {n * 3 + i}" for i in range(3)]) for n in range(20)],
    "steps": [("step", {"n": n}, f"step {n} is done") for n in range(20)],
    "items in words": [
        ("do", f"Process item {n} of the list", f"Item {n} is processed") for n in range(20)
    ],
    "a list of names": [
        ("web", f"Check whether the {city} office is open", f"The {city} office is open")
        for city in ("Rome", "Oslo", "Paris", "Berlin", "Madrid", "Lisbon", "Vienna", "Prague")
    ],
    "a list of files": [
        ("check", {"file": f"src/{name}.py"}, f"{name} has no problems") for name in "abcdefghijkl"
    ],
    "small words": [
        ("check", {"name": name}, f"{name} is fine")
        for name in ("apple", "pear", "plum", "cherry", "grape", "melon", "fig", "lemon", "lime")
    ],
    "a retry that succeeds": [
        ("web", ASK, None),
        ("web", ASK, None),
        ("web", ASK, "The cheapest is DY1873 of Norwegian on May 6, for 79 euros"),
        ("book", {"flight": "DY1873"}, "Booked, reference KX93PL"),
        ("mail", {"text": "DY1873 is booked"}, "Sent to Anna at 9 o'clock"),
    ],
    "chapters and reviews": [
        ("write", {"chapter": n // 2}, " ".join(f"word{n}x{i}" for i in range(30)))
        if n % 2 == 0
        else (
            "review",
            {"chapter": n // 2},
            f"The {WEAK[n // 2]} is weak",
        )
        for n in range(8)
    ],
}


def judged(rounds):
    memory = Memory(GOAL)
    return [
        judge(memory, [read(worker, asked, told, failed=told is None)])
        for worker, asked, told in rounds
    ]


def over(findings):
    return [finding.score > THRESHOLD for finding in findings]


@pytest.mark.parametrize("name", CIRCLES)
def test_circles_with_small_differences_are_over_the_default_threshold(name):
    found = over(judged(CIRCLES[name]))
    assert not any(found[:2])
    assert found[-2:] == [True, True]


@pytest.mark.parametrize("name", PROGRESS)
def test_progress_that_looks_alike_is_not(name):
    findings = judged(PROGRESS[name])
    assert not any(over(findings)), [round(finding.score, 2) for finding in findings]


def test_the_reason_is_named():
    found = judged(CIRCLES["a clock"])
    assert (
        found[2].why == "`web` was asked nearly the same for the 3rd time and brought no new facts"
    )
    turns = judged(CIRCLES["two workers in turns"])
    assert turns[-1].why == "`files` and `web` take turns and bring no new facts"
    failing = judged(CIRCLES["failing in other words"])
    assert "open points was closed in" in failing[-1].why


def test_a_round_with_news_is_never_over_whatever_came_before():
    found = judged([*CIRCLES["a clock"], ("web", ASK, "DY1873, May 6, 79 euros, Gardermoen")])
    assert found[-2].score > 0.5
    assert found[-1].score < THRESHOLD


def test_a_retry_that_succeeds_is_progress_however_it_says_so():
    failed = [("book", {"flight": "DY1873"}, None)] * 3
    found = judged([*failed, ("book", {"flight": "DY1873"}, "DY1873 booked")])
    assert found[-2].score > THRESHOLD
    assert found[-1].score == 0


def test_one_task_with_news_makes_a_round_progress():
    memory = Memory(GOAL)
    for number in range(8):
        same = read("web", ASK, "Nothing found.")
        news = read("shop", {"page": number}, [f"product{number}x{i}" for i in range(10)])
        assert judge(memory, [same, news]).score < THRESHOLD


def test_a_new_plan_begins_to_count_again():
    memory = Memory(GOAL)
    scores = [judge(memory, [read("web", ASK, "Nothing found.")]).score for _ in range(6)]
    memory.begin_again()
    assert judge(memory, [read("web", ASK, "Nothing found.")]).score < scores[-1] / 2


def test_a_round_that_is_certain_counts_in_full():
    memory = Memory(GOAL)
    assert judge(memory, [], certain=True).score == pytest.approx(0.2)


def test_scores_do_not_depend_on_the_seed_of_hashes():
    program = (
        f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
        "from test_score import CIRCLES, PROGRESS, judged\n"
        "print([judged(rounds) for rounds in [*CIRCLES.values(), *PROGRESS.values()]])"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(said) == 1
    assert next(iter(said)).startswith(b"[[Finding(")
