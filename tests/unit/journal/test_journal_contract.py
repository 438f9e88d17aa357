"""What every journal does; the same tests for the one on disk and the one in memory."""

import asyncio

import pytest

from engine.errors import JournalError, UsageError
from engine.events import (
    CallFailed,
    CallStarted,
    CancelRequested,
    HeldTask,
    RunEnded,
    RunForked,
    RunResumed,
    RunRetried,
    TimerFired,
    Usage,
)


async def entered(journal, make, *runs):
    for at, run in enumerate(runs):
        await journal.create(make.record(run, started_ms=at + 1))


def test_every_kind_of_event_comes_back_as_it_was(journal, make):
    events = [
        make.begun(topic="bücher", deep={"a": [1, 2.5, None, True]}),
        make.started(1),
        make.started(2),
        make.finished(1, {"text": "grüße\0", "n": 2**63}),
        CallFailed(at=9, key=make.key(2), mode="timeout", message="slow", usage=Usage(3, 4)),
        TimerFired(timer="t"),
        RunResumed(lost=["k"], wall_ms=5),
        CancelRequested(reason="r"),
        RunEnded(at=10, status="cancelled", reason="asked"),
    ]

    async def go():
        await entered(journal, make, "r")
        await journal.append("r", events[:4])
        await journal.append("r", events[4:])

    asyncio.run(go())
    assert journal.read("r") == events
    assert journal.salvage("r") == (events, None)


def test_a_run_is_entered_with_its_first_events_or_not_at_all(journal, make):
    large = "x" * 10_000
    first = [make.begun(text=large), make.started(1), make.finished(1, large)]
    over = RunEnded(at=3, status="exhausted", reason="r", bound="budget.cost")

    async def go():
        await journal.create(make.record("r"), first)
        await journal.append("r", [make.started(2)])
        await journal.create(make.record("o", started_ms=2), [make.begun(run="o"), over])
        with pytest.raises(JournalError):
            await journal.create(make.record("n"), [*first, make.finished(1)])
        assert "n" not in journal.owned

    asyncio.run(go())
    assert journal.read("r") == [*first, make.started(2)]
    found = [(summary.run, summary.status, summary.bound) for summary in journal.runs()]
    assert found == [("o", "exhausted", "budget.cost"), ("r", "running", None)]


def test_events_can_be_read_from_a_number_on(journal, make):
    events = [make.begun(), *(make.started(task) for task in range(1, 6))]

    async def go():
        await entered(journal, make, "r")
        await journal.append("r", events)

    asyncio.run(go())
    assert journal.read("r", 4) == events[4:]
    assert journal.read("r", len(events)) == []


def test_a_fork_tells_of_its_parent_and_a_retry_opens_a_run_again(journal, make):
    held = HeldTask("k", ["put"], "ab", 7, "done", {"n": 1})
    forked = RunForked(run="f", parent="r", seq=1, held=[held], wall_ms=5)

    async def go():
        await journal.create(make.record("f", parent="r", parent_seq=1))
        await journal.append("f", [make.begun("r"), forked])
        await journal.append("f", [RunEnded(status="failed", reason="down")])
        assert journal.record("f").status == "failed"
        await journal.append("f", [RunRetried(program="h2")])

    asyncio.run(go())
    record = journal.record("f")
    assert (record.parent, record.parent_seq, record.status) == ("r", 1, "running")
    (summary,) = journal.runs()
    assert (summary.parent, summary.parent_seq) == ("r", 1)
    assert journal.read("f")[1] == forked


def test_a_run_that_is_given_another_program_keeps_those_it_had(journal, make):
    async def go():
        await journal.create(make.record("r", files={"a.orch": "one", "p.txt": "same"}))
        await journal.change_program("r", {"a.orch": "two", "p.txt": "same"}, 5)
        await journal.change_program("r", {"a.orch": "three"}, 6)

    asyncio.run(go())
    record = journal.record("r")
    assert record.files == {"a.orch": "three"}
    assert [(p.until_ms, p.files) for p in record.earlier] == [
        (5, {"a.orch": "one", "p.txt": "same"}),
        (6, {"a.orch": "two", "p.txt": "same"}),
    ]


def test_large_values_come_back_as_they_were(journal, make):
    large = {"text": "x" * 5000, "list": list(range(3000))}
    events = [make.begun(big="i" * 9000), make.finished(1, large), make.finished(2, large)]

    async def go():
        await entered(journal, make, "r")
        await journal.append("r", events)

    asyncio.run(go())
    assert journal.read("r") == events


def test_what_json_cannot_say_is_refused_and_leaves_the_run_whole(journal, make):
    async def go():
        await entered(journal, make, "r")
        for bad in (object(), "\ud800", {1, "a", object()}):
            with pytest.raises(JournalError, match="cannot be written as JSON"):
                await journal.append("r", [make.started(1), make.finished(1, bad)])
        await journal.append("r", [make.started(1)])

    asyncio.run(go())
    assert journal.read("r") == [make.started(1)]


@pytest.mark.parametrize("second", ["finished", "failed"])
def test_an_attempt_of_a_call_ends_once(journal, make, second):
    end = make.finished(1) if second == "finished" else CallFailed(key=make.key(1), mode="crashed")

    async def go():
        await entered(journal, make, "r", "s")
        await journal.append("r", [make.started(1), make.finished(1, "a")])
        with pytest.raises(JournalError, match="the run r would end a second time"):
            await journal.append("r", [make.started(2), end])
        await journal.append("s", [make.finished(1)])  # another run's call is another call
        await journal.append("r", [CallStarted(key=make.key(1), attempt=2)])
        await journal.append("r", [CallFailed(key=make.key(1), attempt=2, mode="timeout")])

    asyncio.run(go())
    assert [type(event).__name__ for event in journal.read("r")] == [
        "CallStarted",
        "CallFinished",
        "CallStarted",
        "CallFailed",
    ]


def test_a_bad_append_does_not_harm_others_of_its_moment(journal, make):
    async def go():
        await entered(journal, make, "r", "s", "t")
        await journal.append("s", [make.finished(1)])
        return await asyncio.gather(
            journal.append("r", [make.started(1)]),
            journal.append("s", [make.finished(1)]),
            journal.append("t", [make.started(1)]),
            return_exceptions=True,
        )

    first, second, third = asyncio.run(go())
    assert (first, third) == (None, None)
    assert isinstance(second, JournalError)
    assert journal.read("r") == journal.read("t") == [make.started(1)]
    assert journal.read("s") == [make.finished(1)]


def test_records_keep_the_program_and_what_it_was_started_with(journal, make):
    record = make.record(
        "r",
        files={"x.orch": "orch 1\n", "p/ü.j2": "größe\r\n", "bad.txt": "a\udcffb"},
        params={"n": 3},
        models={"planner": "python/x:y"},
        cwd="/somewhere",
        engine="0.1.0",
    )

    async def go():
        await journal.create(record)
        with pytest.raises(JournalError, match="there is a run r already"):
            await journal.create(record)

    asyncio.run(go())
    kept = journal.record("r")
    assert kept.live
    assert {**kept.files} == {**record.files}
    assert (kept.params, kept.models) == (record.params, record.models)
    assert (kept.cwd, kept.engine, kept.workflow) == ("/somewhere", "0.1.0", "x.orch")


def test_listings_are_latest_first_and_follow_the_end_of_runs(journal, make):
    async def go():
        await entered(journal, make, "a", "b", "c")
        ended = RunEnded(status="exhausted", reason="max_rounds", bound="max_rounds")
        await journal.append("b", [ended])
        await journal.append("c", [RunEnded(status="waiting")])
        await journal.append("c", [RunResumed()])

    asyncio.run(go())
    assert [r.run for r in journal.runs()] == ["c", "b", "a"]
    assert [r.run for r in journal.runs(limit=2)] == ["c", "b"]
    assert [r.run for r in journal.runs(status="running")] == ["c", "a"]
    (ended,) = journal.runs(status="exhausted")
    assert (ended.reason, ended.bound, ended.live) == ("max_rounds", "max_rounds", False)
    assert ended.ended_ms is not None
    assert journal.record("c").ended_ms is None


def test_a_run_is_found_by_the_beginning_of_its_id(journal, make):
    with pytest.raises(UsageError, match=r"there is no run in .* yet"):
        journal.find("last")
    asyncio.run(entered(journal, make, "abc-1", "abc-2", "abc", "x%_"))
    assert journal.find("abc-1") == "abc-1"
    assert journal.find("abc") == "abc"
    assert journal.find("x") == "x%_"
    assert journal.find("last") == "x%_"
    for prefix, message in [("ab", "several runs"), ("%", "no run"), ("", "no run")]:
        with pytest.raises(UsageError, match=message):
            journal.find(prefix)


def test_a_run_that_is_not_there_is_told(journal, make):
    asyncio.run(entered(journal, make, "r"))
    for method in (journal.read, journal.salvage, journal.record):
        with pytest.raises(JournalError, match="there is no run nope"):
            method("nope")
    with pytest.raises(JournalError, match="there is no run nope"):
        asyncio.run(journal.claim("nope"))


def test_each_claim_begins_a_new_epoch(journal, make):
    async def go():
        await entered(journal, make, "r")
        await journal.append("r", [make.started(1)])
        epochs = [await journal.claim("r"), await journal.claim("r")]
        await journal.append("r", [make.finished(1)])
        return epochs

    assert asyncio.run(go()) == [2, 3]
    assert journal.read("r") == [make.started(1), make.finished(1)]


def test_a_closed_journal_can_be_read_only(journal, make):
    asyncio.run(entered(journal, make, "r"))
    journal.close()
    journal.close()
    with pytest.raises(JournalError):
        asyncio.run(journal.append("r", [make.started(1)]))
    assert journal.read("r") == []
    assert not journal.record("r").live
