"""The journal is the run: fold, duplicates, late answers, the same events again."""

from __future__ import annotations

import msgspec

import engine
from engine.events import CallFinished, encode_event
from engine.runtime.machine import fold, step
from engine.runtime.report import run_report

SOURCE = """
worker add(a: int, b: int = 1) -> { sum: int } fails too_big via python { call = "tools:add" }
orchestrator main() -> { total: int } {
  model = planner  goal = "g"  workers = [add]  policy { max_rounds = 4 }
}
"""
TOOLS = """
import engine
def add(a, b):
    if a > 9:
        raise engine.Failure("too_big", "no")
    return {"sum": a + b}
"""


def finished_run(play, tasks, finish) -> engine.Run:
    return play(
        SOURCE,
        [
            tasks(
                ("a", "add", {"a": 1}),
                ("b", "add", {"a": {"$from": "a", "at": "/sum"}}),
                ("c", "add", {"a": 10}),
            ),
            "not a decision",
            tasks(("d", "add", {"a": 5})),
            finish(total=3),
        ],
        TOOLS,
    )


def test_the_fold_of_a_runs_events_is_its_state(play, load, tasks, finish):
    run = finished_run(play, tasks, finish)
    program = load(SOURCE, TOOLS).program
    state = fold(program, run.journal.read(run.id))
    assert run_report(state, details=True) == run.report()
    assert state.open_commands() == []


def test_each_call_has_one_start_and_one_end(play, tasks, finish):
    run = finished_run(play, tasks, finish)
    events = run.journal.read(run.id)
    kinds = [type(event).__name__ for event in events]
    # Four tasks and four decisions; nothing else is kept of them.
    assert kinds.count("CallStarted") == 8
    assert kinds.count("CallFinished") + kinds.count("CallFailed") == 8
    assert kinds[0] == "RunStarted"
    assert kinds[-1] == "RunEnded"


def test_doubled_and_late_events_change_nothing(play, load, tasks, finish):
    run = finished_run(play, tasks, finish)
    events = run.journal.read(run.id)
    program = load(SOURCE, TOOLS).program
    doubled = [event for event in events for _ in range(2)]
    late = [*events, *(e for e in events if isinstance(e, CallFinished))]
    for stream in (doubled, late):
        assert run_report(fold(program, stream), details=True) == run.report()


def test_a_state_folded_halfway_asks_for_what_is_open(play, load, tasks, finish):
    run = finished_run(play, tasks, finish)
    events = run.journal.read(run.id)
    program = load(SOURCE, TOOLS).program
    for cut in range(1, len(events)):
        state = fold(program, events[:cut])
        open_keys = {command.key for command in state.open_commands()}
        rest = {e.key for e in events[cut:] if isinstance(e, CallFinished)}
        # Whatever is asked for again has not ended yet.
        ended = {e.key for e in events[:cut] if isinstance(e, CallFinished)}
        assert not open_keys & ended
        if rest:
            assert open_keys


def test_the_same_events_give_the_same_commands(play, load, tasks, finish):
    run = finished_run(play, tasks, finish)
    events = run.journal.read(run.id)
    program = load(SOURCE, TOOLS).program

    def told() -> list[str]:
        from engine.runtime.state import RunState

        state = RunState(program)
        return [
            f"{type(c).__name__} {getattr(c, 'key', '')}" for e in events for c in step(state, e)[1]
        ]

    assert told() == told()
    assert all(msgspec.json.decode(encode_event(event))["type"] for event in events)
