"""ComplexFuncBench's bench on goals made by hand, in the data set's own format."""

from __future__ import annotations

import asyncio
from pathlib import Path

import msgspec
import pytest
from jsonschema import Draft202012Validator

import engine
from bench.complexfunc import data, program
from bench.complexfunc.distilled import AGAIN, again, distilled, findings, shape_of
from bench.complexfunc.plans import plan_of
from bench.complexfunc.play import Played, play, violations
from bench.complexfunc.replay import MODES, Mode

APIS = msgspec.convert(
    [
        {
            "name": "Find_Place",
            "description": "Find a place.\nBy its name.",
            "query_parameters": {"query": {"type": "string", "required": True}},
        },
        {
            "name": "Search_Hotels(Near)",
            "description": "Hotels near a point.",
            "query_parameters": {
                "latitude": {"type": "number", "required": True},
                "place_id": {"type": "string", "required": True},
                "sort_by": {"type": "string", "enum": ["price", "distance"]},
            },
        },
    ],
    list[data.Api],
)


def goal(*calls: tuple[str, dict[str, object], object]) -> data.Goal:
    return data.Goal(
        "Find me a hotel for $5 a night.",
        [
            data.Call(name, arguments, f"var{number}", response)
            for number, (name, arguments, response) in enumerate(calls, start=1)
        ],
    )


PLACES = [{"id": "p/1", "at": {"lat": 52.5}}, {"id": "p2", "at": {"lat": 48}}]
GOOD = goal(
    ("Find_Place", {"query": "Berlin"}, PLACES),
    (
        "Search_Hotels(Near)",
        {"latitude": "$var1.at.lat$", "place_id": "$var1.id$", "sort_by": "price"},
        {"hotels": [{"id": 7}]},
    ),
    ("Find_Place", {"query": "$5 million"}, []),
)
BAD_LITERAL = goal(
    (
        "Search_Hotels(Near)",
        {"latitude": 1.5, "place_id": "x", "sort_by": "pricey"},
        {"hotels": []},
    ),
)
BAD_REFERENCE = goal(
    ("Find_Place", {"query": "Rome"}, [{"id": 12, "at": {"lat": 41.9}}]),
    ("Search_Hotels(Near)", {"latitude": 1, "place_id": "$var1.id$"}, {"hotels": []}),
)


POINTS = [{"id": f"p{n}", "at": {"lat": 40.5 + n}} for n in range(5)]
SEVERAL = goal(
    ("Find_Place", {"query": "Spain"}, POINTS),
    ("Search_Hotels(Near)", {"latitude": 43.5, "place_id": "p3"}, {"hotels": [], "best": "Ana"}),
    ("Search_Hotels(Near)", {"latitude": 41.5, "place_id": "p1"}, {"hotels": [], "best": "Luz"}),
    ("Find_Place", {"query": "Luz"}, []),
    ("Find_Place", {"query": "Ana"}, []),
    ("Find_Place", {"query": "elsewhere"}, []),
)


def played(folder: Path, one: data.Goal, mode: Mode, widened: set[program.Place]) -> Played:
    goals = [GOOD, BAD_LITERAL, BAD_REFERENCE, SEVERAL]
    path = program.write(folder, APIS, goals, widened=widened, steps=mode == "plans")
    workflow = engine.load(path, params={"rounds": 7, "width": 6})
    return asyncio.run(play(workflow, one, mode))


def test_a_reference_becomes_a_pointer() -> None:
    reference = data.reference_of("$var1.at.lat$")
    assert reference == data.Reference("var1", ("at", "lat"))
    assert data.pointer_of(reference, PLACES) == "/0/at/lat"
    assert data.pointer_of(reference, PLACES[0]) == "/at/lat"
    assert data.reference_of("$5 million") is None
    assert data.count_references([GOOD]) == 2


@pytest.mark.parametrize("mode", MODES)
def test_a_goal_ends_as_recorded(tmp_path: Path, mode: Mode) -> None:
    result = played(tmp_path, GOOD, mode, set())
    assert (result.faults, result.reported) == ([], {})
    assert (result.calls, result.references) == (3, 2)
    if mode == "stream":
        assert result.early >= 1


@pytest.mark.parametrize("mode", MODES)
def test_violations_are_reported_and_agree_with_jsonschema(tmp_path: Path, mode: Mode) -> None:
    schemas = {api.name: Draft202012Validator(api.schema()) for api in APIS}
    literal = played(tmp_path / "a", BAD_LITERAL, mode, set())
    assert set(literal.reported) == set(violations(BAD_LITERAL, schemas)) == {"var1"}
    assert "sort_by" in literal.reported["var1"]
    reference = played(tmp_path / "b", BAD_REFERENCE, mode, set())
    assert set(reference.reported) == set(violations(BAD_REFERENCE, schemas)) == {"var2"}
    assert "place_id" in reference.reported["var2"]


def test_calls_about_items_of_a_list_are_planned_as_an_each() -> None:
    plan = plan_of(SEVERAL)
    near = {
        "id": "all_var2",
        "worker": "Search_Hotels_Near",
        "each": {
            "$from": "var1",
            "where": [[{"value": {"$item": "/at/lat"}, "is": "in", "than": [43.5, 41.5]}]],
        },
        "input": {"latitude": {"$item": "/at/lat"}, "place_id": {"$item": "/id"}},
    }
    assert plan.entries[1] == near
    assert (plan.ids["var2"], plan.ids["var3"]) == ("all_var2[3]", "all_var2[1]")
    assert plan.steps == 1
    assert plan_of(GOOD).steps == 0


def test_calls_that_follow_an_each_are_planned_from_its_items() -> None:
    plan = plan_of(data.Goal(SEVERAL.input, SEVERAL.output[:5]))
    assert plan.entries[2]["each"] == {"$from": "all_var2"}
    assert plan.entries[2]["input"] == {"query": {"$item": "/best"}}
    assert (plan.ids["var4"], plan.ids["var5"]) == ("all_var4[1]", "all_var4[3]")


def test_a_plan_makes_the_recorded_calls(tmp_path: Path) -> None:
    for several in (SEVERAL, data.Goal(SEVERAL.input, SEVERAL.output[:5])):
        result = played(tmp_path, several, "plans", set())
        assert (result.faults, result.reported) == ([], {})
        assert result.calls == len(several.output)
        assert result.steps == plan_of(several).steps >= 1


def test_a_widened_parameter_lets_the_goal_end(tmp_path: Path) -> None:
    widened = {("Search_Hotels(Near)", "place_id"), ("Search_Hotels(Near)", "sort_by")}
    for one in (BAD_LITERAL, BAD_REFERENCE):
        result = played(tmp_path, one, "references", widened)
        assert (result.faults, result.reported) == ([], {})
        assert result.calls == len(one.output)


def test_an_output_that_differs_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bench.complexfunc.replay.Record.take", lambda *_: PLACES[:1])
    one = goal(("Find_Place", {"query": "Berlin"}, PLACES))
    assert any("not the recorded one" in f for f in played(tmp_path, one, "rounds", set()).faults)


def test_a_goal_is_distilled_and_serves_another_goal(tmp_path: Path) -> None:
    places = [{"id": "p/9", "at": {"lat": 1.25}}]
    other = goal(
        ("Find_Place", {"query": "Lima"}, places),
        *(
            (call.name, {**call.arguments}, {"hotels": [number]})
            for number, call in enumerate(GOOD.output[1:])
        ),
    )
    assert shape_of(GOOD) == shape_of(other)
    path = program.write(tmp_path, APIS, [GOOD, other])
    found = asyncio.run(distilled(path, GOOD))
    assert "place_id=var1[0].id" in found.text
    path.write_text(f"{path.read_text()}\n{found.text}{AGAIN}")
    assert findings(path, found.text) == ""
    assert asyncio.run(again(path, GOOD, own=True)) == ""
    assert asyncio.run(again(path, other, own=False)) == ""
    mixed = goal(("Find_Place", {"query": "Oslo"}, places), *_calls(GOOD)[1:])
    assert "the record has no such call" in asyncio.run(again(path, mixed, own=True))


def _calls(one: data.Goal) -> list[tuple[str, dict[str, object], object]]:
    return [(call.name, call.arguments, call.response) for call in one.output]
