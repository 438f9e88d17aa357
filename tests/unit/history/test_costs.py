"""What runs cost, from events alone: the same sums as their budgets, and by group."""

import asyncio

import msgspec
import pytest

import engine
from engine.drive.launch import Options
from engine.events import (
    CallFailed,
    CallFinished,
    CallStarted,
    ModelInfo,
    RunForked,
    RunResumed,
    RunStarted,
    Usage,
)
from engine.history.costs import calls_of, grouped
from engine.history.fork_and_retry import fork
from engine.journal import SqliteJournal
from engine.models.scripted import Scripted

DAY_MS = 24 * 60 * 60 * 1000
KNOWN = ModelInfo("openai/known", input_usd=1_000_000, output_usd=2_000_000)
NEW = ModelInfo("openai/new")
FREE = ModelInfo("python/x:y", metered=False)
START = RunStarted(
    run="r",
    orchestrator="o",
    input={},
    models={"known": KNOWN, "new": NEW, "free": FREE},
    program="",
    wall_ms=DAY_MS,
)


def started(key, model="known", at=0, attempt=1):
    return CallStarted(
        at=at,
        key=key,
        attempt=attempt,
        model=model,
        most_usd=500,
        most_input=300,
        most_output=100,
    )


def usd(events, **options):
    return [call.used.cost_micro_usd for call in calls_of([START, *events], **options)]


def test_what_was_reported_counts():
    used = Usage(input_tokens=10, output_tokens=20, cost_micro_usd=None)
    events = [
        started("a"),
        CallFinished(key="a", usage=msgspec.structs.replace(used, cost_micro_usd=77)),
        started("b"),
        CallFinished(key="b", usage=used),
        started("c", "new"),
        CallFinished(key="c", usage=used),
        started("d", "free"),
        CallFinished(key="d"),
        CallStarted(key="worker"),
        CallFinished(key="worker"),
    ]
    assert usd(events) == [77, 10 + 40, None]


def test_what_may_have_been_billed_counts_at_its_reservation():
    events = [
        started("timed out"),
        CallFailed(key="timed out", mode="timeout"),
        started("refused"),
        CallFailed(key="refused", mode="rate_limited"),
        started("unreported"),
        CallFinished(key="unreported"),
        started("lost"),
        RunResumed(lost=["lost"], wall_ms=3 * DAY_MS, at=1000),
        started("lost", at=1000),
        CallFinished(key="lost", usage=Usage(1, 1, cost_micro_usd=3), at=2000),
        started("open", "new", at=2000),
    ]
    assert usd(events) == [500, 500, 500, 3, None]
    assert usd(events, live=True) == [500, 500, 500, 3]
    first, *_, lost, _ = calls_of([START, *events])
    assert (first.wall_ms, lost.wall_ms) == (DAY_MS, 3 * DAY_MS)
    assert first.used == Usage(300, 100, cost_micro_usd=500, estimated=True)


def test_what_a_fork_shares_is_its_parents():
    used = Usage(1, 1, cost_micro_usd=9)
    events = [
        started("a"),
        CallFinished(key="a", usage=used),
        started("b"),
        RunForked(run="f", parent="r", seq=4),
        RunResumed(wall_ms=5),
        started("b"),
        CallFinished(key="b", usage=Usage(1, 1, cost_micro_usd=4)),
    ]
    assert usd(events) == [4]


SOURCE = """orch 1
model m { id = "scripted/none.json"  price { input = $1.00  output = $2.00 } }
worker look(q: string) -> string via llm { model = m  prompt = "{{ q }}" }
orchestrator main() -> { n: int } {
  model = m  goal = "g"  workers = [look]  policy { max_rounds = 3 }
}
"""


def reply(value, cost):
    used = {"input_tokens": 1000, "output_tokens": 10, "cost_usd": cost}
    return {"$reply": value, "usage": used}


@pytest.fixture
def journal(tmp_path):
    (tmp_path / "main.orch").write_text(SOURCE)
    workflow = engine.load(tmp_path / "main.orch")
    folder = tmp_path / ".orch"
    task = {"tasks": [{"id": "a", "worker": "look", "input": {"q": "x"}}]}
    first = Scripted([reply(task, 0.25), reply("y", 0.5), reply({"finish": {"n": 1}}, 0.125)])
    run = workflow.run(journal=folder, models={"m": first}, labels={"team": "x", "env": "prod"})
    assert run.usage.cost_micro_usd == 875_000
    unpriced = {"$reply": {"finish": {"n": 1}}, "usage": None}
    other = workflow.run(journal=folder, models={"m": Scripted([unpriced])})
    assert other.usage.estimated
    with SqliteJournal(folder) as found:
        yield found, run, other


def test_the_sums_are_those_of_the_budgets(journal):
    found, run, other = journal
    groups, everything = grouped(found, found.runs(), "run", print)
    for one in (run, other):
        assert groups[one.id].usd == one.usage.cost_micro_usd
        assert groups[one.id].input_tokens == one.usage.input_tokens
    assert everything.usd == 875_000 + other.usage.cost_micro_usd
    assert (everything.calls, everything.estimated, everything.unpriced) == (4, 1, 0)


def test_groups(journal):
    found, *_ = journal
    by = {
        group: grouped(found, found.runs(), group, print)[0]
        for group in ("day", "workflow", "label", "model")
    }
    assert {name: total.runs for name, total in by["label"].items()} == {
        "team=x": 1,
        "env=prod": 1,
        "(no label)": 1,
    }
    (day,) = by["day"].values()
    assert (day.runs, day.calls) == (2, 4)
    assert len(by["workflow"]) == len(by["model"]) == 1


def test_a_fork_keeps_labels_and_pays_for_its_own(journal):
    found, run, _ = journal
    seq = [type(event).__name__ for event in found.read(run.id)].index("CallFinished") + 1

    async def forked():
        done = {"finish": {"n": 1}}  # a script continues after what the run had asked before
        script = Scripted(["asked before", reply("y", 1.0), reply(done, 1.0)])
        return await fork(run.id, seq, found, Options(models={"m": script}))

    state = asyncio.run(forked())
    assert state.status == "finished", state.reason
    assert found.record(state.run).labels == {"env": "prod", "team": "x"}
    groups, _ = grouped(found, found.runs(), "run", print)
    assert groups[state.run].usd == 2_000_000
