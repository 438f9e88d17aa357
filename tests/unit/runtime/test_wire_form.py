"""The one wire form of decisions: small enough for every dialect, and read with tolerance."""

from __future__ import annotations

import json
from typing import Any

import pytest
from step_program import decisions as with_steps

from engine.dialects.measure import measure
from engine.dialects.problems import problems
from engine.dialects.table import DIALECTS
from engine.runtime.decision import DecisionContract, DecisionError
from engine.runtime.wire_schema import wire_output
from engine.runtime.wire_values import read_decision, read_output, read_task, write_decision
from engine.sema.check import check_file
from engine.sema.names.loader import MemoryReader

NATIVE = [name for name, row in DIALECTS.items() if row.native]
INPUTS = 'a: string, b: int, c: string[], d: bool, e: float?, f: "x" | "y" = "x"'


def decisions(source: str) -> DecisionContract:
    text = f'orch 1\nmodel m {{ id = "memory/m" }}\n{source}'
    program = check_file(
        "/p/main.orch", reader=MemoryReader({"main.orch": text}, "/p"), env={}
    ).program
    assert program is not None
    return DecisionContract(program, program.orchestrators["main"])


def of(inputs: str, output: str = "string", workers: int = 1, types: str = "") -> DecisionContract:
    names = [f"w{n}" for n in range(workers)]
    declared = "\n".join(
        f'worker {name}({inputs}) -> int via command {{ run = ["w"]  effect = pure }}'
        for name in names
    )
    return decisions(
        f'{types}\n{declared}\norchestrator main() -> {output} {{\n  model = m  goal = "g"\n'
        f"  workers = [{', '.join(names)}]  policy {{ max_rounds = 3 }}\n}}"
    )


@pytest.mark.parametrize("dialect", NATIVE)
def test_forty_workers_with_six_inputs_fit_every_dialect(dialect: str) -> None:
    form = of(INPUTS, workers=40).wire(dialect)
    assert form is not None
    assert problems(form.schema, DIALECTS[dialect]) == []
    figures = measure(form.schema)
    assert (figures.unions, figures.optional) == (1, 0)
    assert len(json.dumps(form.schema)) < 4_000
    # Azure admits five levels, so what holds something there is written as JSON text.
    assert form.as_json == (["c"] if dialect == "azure" else [])


@pytest.mark.parametrize("dialect", NATIVE)
def test_what_a_dialect_cannot_express_is_json_text(dialect: str) -> None:
    types = "schema Tree { name: string  children: Tree[] }"
    form = of(
        "tree: Tree, any: json, map: { string: int }".replace("{ string: int }", "json"),
        output="Tree",
        types=types,
    ).wire(dialect)
    assert form is not None
    assert problems(form.schema, DIALECTS[dialect]) == []
    row = DIALECTS[dialect]
    assert ("any" in form.as_json) is not row.any_value
    assert ("tree" in form.as_json) is (not row.recursion or dialect == "azure")


def test_a_dialect_without_schemas_has_no_form() -> None:
    assert of("a: string").wire("deepseek") is None


def test_the_workers_of_two_files_may_name_their_types_alike() -> None:
    form = of("item: Item", types="schema Item { a: int  inner: Item? }").wire("openai")
    assert form is not None
    assert set(form.schema["$defs"]) == {"Item"}


LIST = of("a: string?, n: int = 1", output="string[]")


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ([{"name": "a", "value": "x"}], {"a": "x"}),
        ([{"from": "t1", "at": "", "name": "a"}], {"a": {"$from": "t1"}}),
        ([{"from": "t1", "at": "/x", "name": "a"}], {"a": {"$from": "t1", "at": "/x"}}),
        ([{"json": "3", "name": "n"}], {"n": 3}),
        ([{"json": 3, "name": "n"}], {"n": 3}),
        ([], {}),
        # The contract's own form, and nulls for what is absent.
        ({"a": "x", "n": None}, {"a": "x"}),
        ({"a": {"$from": "t1", "at": None}}, {"a": {"$from": "t1"}}),
    ],
)
def test_an_input_is_read_in_either_form(said: Any, meant: Any) -> None:
    task = read_task({"worker": "w0", "id": "t", "input": said}, LIST)
    assert task == {"worker": "w0", "id": "t", "input": meant}


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ([{"value": "x"}], "task `t`: each item of `input` is an object with a `name`"),
        (["x"], "task `t`: each item of `input` is an object with a `name`"),
        ([{"name": "a", "value": 1}] * 2, "task `t`: `a` is given twice"),
        ([{"name": "a"}], "task `t`: `a` needs one of `value`, `json`, or `from` with `at`"),
        ([{"name": "a", "json": "{"}], "task `t`: `a`: the JSON text cannot be read"),
    ],
)
def test_an_input_that_neither_form_knows_is_named(said: Any, problem: str) -> None:
    with pytest.raises(DecisionError) as found:
        read_task({"worker": "w0", "id": "t", "input": said}, LIST)
    assert found.value.problems[0].startswith(problem)


TASK = {"worker": "w0", "id": "t", "input": []}
READ = {"worker": "w0", "id": "t", "input": {}}


@pytest.mark.parametrize(
    ("said", "meant"),
    [
        ({"tasks": [TASK], "finish": []}, {"tasks": [READ]}),
        ({"tasks": [], "finish": [["x"]]}, {"finish": ["x"]}),
        ({"tasks": [], "finish": [[]]}, {"finish": []}),
        # A model that keeps to the contract's form although it was asked for the other one.
        ({"finish": ["x"]}, {"finish": ["x"]}),
        ({"finish": []}, {"finish": []}),
        ({"tasks": [], "finish": ["x"]}, {"finish": ["x"]}),
        ({"tasks": None, "finish": ["x", "y"]}, {"tasks": None, "finish": ["x", "y"]}),
        # Neither: the contract says so.
        ({"tasks": [], "finish": []}, {"tasks": []}),
    ],
)
def test_a_result_that_is_a_list_is_told_from_the_list_around_it(said: Any, meant: Any) -> None:
    assert read_decision(said, LIST) == meant


def test_a_result_as_json_text_is_read() -> None:
    contract = of("a: string", output="json")
    assert read_decision({"tasks": [], "finish": [{"json": '{"x": [1]}'}]}, contract) == {
        "finish": {"x": [1]}
    }


def test_a_record_whose_only_field_is_called_result_is_not_unwrapped() -> None:
    contract = of("a: string", output="R", types="schema R { result: string }")
    output = contract.orchestrator.output
    assert read_output({"result": "x"}, output) == {"result": "x"}
    wire = wire_output(output, "openai")
    assert wire is not None
    assert set(wire["properties"]) == {"result"}


def test_a_wrapper_is_not_named_like_a_field_of_what_it_wraps() -> None:
    """Else null in its wrapper would be read as the record whose field is null."""
    contract = of("a: string", output="R?", types="schema R { result: string? }")
    output = contract.orchestrator.output
    wire = wire_output(output, "openai")
    assert wire is not None
    assert set(wire["properties"]) == {"result_"}
    assert read_output({"result_": None}, output) is None
    assert read_output({"result_": {"result": None}}, output) == {"result": None}
    assert read_output({"result": "x"}, output) == {"result": "x"}


@pytest.mark.parametrize("dialect", NATIVE)
def test_an_output_that_is_not_an_object_is_wrapped_and_unwrapped(dialect: str) -> None:
    output = of(
        "a: string", output="Names", types="schema Name { n: string }\nschema Names = Name[]"
    ).orchestrator.output
    wire = wire_output(output, dialect)
    assert wire is not None
    assert problems(wire, DIALECTS[dialect]) == []
    assert read_output({"result": [{"n": "x"}]}, output) == [{"n": "x"}]


# ---------------------------------------------------------------- steps


def read(*parts: Any, **more: Any) -> Any:
    entry = {"step": list(parts), "worker": "review", "id": "t", "input": [], **more}
    return read_decision({"tasks": [entry], "finish": []}, with_steps())["tasks"][0]


@pytest.mark.parametrize(
    ("parts", "meant"),
    [
        ([], {}),
        ([{"each": "s"}], {"each": {"$from": "s"}}),
        ([{"each": "a"}, {"each": "b"}], {"each": {"$from": ["a", "b"]}}),
        (
            [{"each": "s"}, {"as": "pairs"}, {"take": 2}],
            {"each": {"$from": "s", "pairs": True, "take": 2}},
        ),
        ([{"reduce": "s"}, {"size": 3}], {"reduce": {"$from": "s"}, "size": 3}),
        ([{"after": "a"}, {"after": "b"}], {"after": ["a", "b"]}),
        ([{"label": "/x"}, {"each": "s"}], {"label": {"$item": "/x"}, "each": {"$from": "s"}}),
        (
            [{"when_ended": "a", "is": "ok"}, {"or": "when"}, {"when_empty": "b", "at": "/x"}],
            {
                "when": [
                    [{"value": {"$from": "a"}, "is": "ok"}],
                    [{"value": {"$from": "b", "at": "/x"}, "is": "empty"}],
                ]
            },
        ),
        # Several keys in one part, the contract's own form, one part without its list.
        ([{"each": "s", "at": "/x", "take": 2}], {"each": {"$from": "s", "at": "/x", "take": 2}}),
        ([{"each": {"$from": "s", "at": "/x"}}], {"each": {"$from": "s", "at": "/x"}}),
        ([{"each": "s", "at": None}], {"each": {"$from": "s"}}),
        (
            [{"each": "s"}, {"sort_by": "/n", "desc": False}],
            {"each": {"$from": "s", "sort_by": "/n"}},
        ),
        # A shaper of nothing: the contract says what is missing.
        ([{"take": 2}], {"each": {"take": 2}}),
    ],
)  # fmt: skip
def test_parts_of_a_step_are_put_together(parts: Any, meant: Any) -> None:
    plain = {"worker": "review", "id": "t", "input": {}}
    assert read(*parts) == {**plain, **meant}
    if len(parts) == 1:
        assert read(step=parts[0]) == {**plain, **meant}


def test_null_for_a_key_of_the_contracts_form_says_that_it_is_absent() -> None:
    task = {"worker": "w", "id": "t", "input": {}, "each": None, "when": None, "empty": None}
    assert read_task(task, with_steps()) == {"worker": "w", "id": "t", "input": {}, "empty": None}


@pytest.mark.parametrize(
    ("part", "problem"),
    [
        ("each", 'task `t`: each item of `step` is an object such as {"each": "a1"}'),
        ({"eech": "s"}, "task `t`: `step` has an unknown part `eech`; did you mean `each`?"),
        ({"take": 3, "as": "items"}, "task `t`: `step` has an unknown part `as`"),
        ({"json": "{", "of": "when"}, "task `t`: the JSON text of `when` in `step` cannot be read"),
        ({"json": "{}", "of": "each"}, "task `t`: a part with `json` needs `of`, one of `where`"),
        ({"at": "/y"}, "task `t`: `step` gives `at` twice: keep one"),
    ],
)
def test_a_part_that_neither_form_knows_is_named(part: Any, problem: str) -> None:
    with pytest.raises(DecisionError) as found:
        read({"each": "s"}, {"at": "/x"}, part)
    assert found.value.problems[0].startswith(problem)


def test_without_max_items_a_step_is_an_unknown_key() -> None:
    entry = {"step": [{"each": "s"}], "worker": "review", "id": "t", "input": []}
    decision = read_decision({"tasks": [entry], "finish": []}, with_steps(steps=False))
    with pytest.raises(DecisionError) as found:
        with_steps(steps=False).read(decision)
    assert "task `t` has an unknown key `step`" in found.value.problems


REVIEWED = {"summary": "s", "reviews": {"$from": "all"}}


@pytest.mark.parametrize(
    ("finish", "meant"),
    [
        ([{"summary": "s", "reviews": []}], {"summary": "s", "reviews": []}),
        ([{"result": {"summary": "s", "reviews": []}}], {"summary": "s", "reviews": []}),
        (
            [{"json": '{"summary": "s", "reviews": []}', "name": ""}],
            {"summary": "s", "reviews": []},
        ),
        ([{"from": "m", "at": "", "name": ""}], {"$from": "m"}),
        (
            [{"name": "summary", "value": "s"}, {"from": "all", "at": "", "name": "reviews"}],
            REVIEWED,
        ),
        # The contract's own form, in the list and without it.
        ([REVIEWED], REVIEWED),
        (REVIEWED, REVIEWED),
        # A name that is not a field: the contract says so.
        ([{"name": "sum", "value": "s"}], {"sum": "s"}),
    ],
)  # fmt: skip
def test_a_result_is_read_whole_or_by_its_fields(finish: Any, meant: Any) -> None:
    assert read_decision({"tasks": [], "finish": finish}, with_steps()) == {"finish": meant}


@pytest.mark.parametrize("dialect", NATIVE)
def test_a_result_that_begins_like_a_named_value_is_wrapped(dialect: str) -> None:
    source = 'worker w() -> int via command { run = ["w"]  effect = pure }\n' + (
        'orchestrator main() -> { name: string, value: string } {\n  model = m  goal = "g"\n'
        "  workers = [w]  policy { max_rounds = 3  max_items = 9 }\n}"
    )
    contract = decisions(source)
    form = contract.wire(dialect)
    assert form is not None
    assert form.wrapped
    assert problems(form.schema, DIALECTS[dialect]) == []
    finish = {"name": "value", "value": "x"}
    said = write_decision({"finish": finish}, form)
    assert read_decision(said, contract)["finish"] == finish


@pytest.mark.parametrize("dialect", NATIVE)
def test_forty_workers_with_steps_fit_every_dialect(dialect: str) -> None:
    names = [f"w{n}" for n in range(40)]
    declared = "\n".join(
        f'worker {name}({INPUTS}) -> int via command {{ run = ["w"]  effect = pure }}'
        for name in names
    )
    contract = decisions(
        f'{declared}\norchestrator main() -> string {{\n  model = m  goal = "g"\n'
        f"  workers = [{', '.join(names)}]  policy {{ max_rounds = 3  max_items = 9 }}\n}}"
    )
    form = contract.wire(dialect)
    assert form is not None
    assert problems(form.schema, DIALECTS[dialect]) == []
    figures = measure(form.schema)
    assert (figures.unions, figures.optional) == (5, 0)
    assert form.as_json == (["c"] if dialect == "azure" else [])
