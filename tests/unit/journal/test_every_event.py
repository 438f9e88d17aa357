"""Every event of the union is known wherever events are read: an event that is added fails here."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest

from engine.cli.commands.export import event_line
from engine.cli.commands.tail import event_text
from engine.cli.narrator import Narrator
from engine.events import Event, Usage
from engine.history.replay import describe
from engine.journal.rows import _TYPES, decode_row, encode_row
from engine.runtime.machine import step
from engine.runtime.state import RunState
from engine.sema.check import check_file
from engine.sema.names.loader import MemoryReader

EVENTS: tuple[Any, ...] = get_args(Event)
_SAMPLES: dict[str, Any] = {"status": "finished", "answer": "approve", "seq": 3, "attempt": 1}
PROGRAM = """orch 1
model m { id = "memory/none" }
worker w() -> int via python { call = "time:time_ns" }
orchestrator o() -> int { model = m  goal = "g"  workers = [w]  policy { max_rounds = 1 } }
"""


def sample(kind: Any) -> Event:
    """An event with nothing but what it needs."""
    fields = [it for it in msgspec.structs.fields(kind) if it.required]
    made: dict[str, Any] = {
        it.name: _SAMPLES.get(it.name, {} if "dict" in str(it.type) else "x") for it in fields
    }
    event: Event = kind(**made)
    return event


def fresh() -> RunState:
    result = check_file("/p/p.orch", reader=MemoryReader({"p.orch": PROGRAM}, "/p"), env={})
    return RunState(result.partial)


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.__name__)
def test_it_is_written_read_told_and_taken(kind: Any) -> None:
    event = sample(kind)
    row = encode_row(event)
    assert decode_row(row.body, row.blob, row.data) == event
    assert describe(event)
    assert event_text(1, event)
    assert msgspec.json.decode(event_line(1, event))["type"] == kind.__struct_config__.tag
    state = fresh()
    if kind.__name__ != "RunStarted":  # that one needs the program's orchestrator
        step(state, event)
    Narrator(lambda line, tone: None).observe(event, state)


def test_the_numbers_of_rows_are_one_for_each_event() -> None:
    assert set(_TYPES) == set(EVENTS)
    assert sorted(_TYPES.values()) == list(range(len(EVENTS)))


def test_a_large_value_is_kept_apart_and_comes_back() -> None:
    finished = next(kind for kind in EVENTS if kind.__name__ == "CallFinished")
    event = finished(key="k", value="x" * 9_000, usage=Usage(1, 2))
    row = encode_row(event)
    assert row.data is not None
    assert decode_row(row.body, row.blob, row.data) == event
