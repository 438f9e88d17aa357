"""The JSON in a model's text: thoughts, prose and fences around it are passed over."""

import contextlib
import json

import pytest

from engine.runtime.answer_text import NotJSON, find_json, spoken
from engine.runtime.stream import ClosedTasks

VALUE = {"finish": {"n": 1}}
TEXT = json.dumps(VALUE)
DRAFT = '{"tasks": [{"id": "d"}]}'


@pytest.mark.parametrize(
    "said",
    [
        TEXT,
        f"\ufeff{TEXT}",
        f"\n\n  {TEXT}\n",
        f"```json\n{TEXT}\n```",
        f"```\n{TEXT}\n```",
        f"Here it is:\n\n```json\n{TEXT}\n```\nDoes that help?",
        f"I thought of `{DRAFT}`, but no:\n```json\n{TEXT}\n```",
        f"```json\n{DRAFT}\n```\nor rather\n```json\n{TEXT}\n```",
        f"The decision is {TEXT} and that is all.",
        f"I could plan {DRAFT} but I know enough.\n{TEXT}",
        f"{TEXT}\n\nI chose this because {{it}} is enough: {DRAFT}",
        f"<think>\nperhaps {DRAFT}\n</think>\n{TEXT}",
        f"<think></think>{TEXT}",
        f"<thinking>{DRAFT}</thinking>\n```json\n{TEXT}\n```",
        f"<think>a</think><think>b</think>\n{TEXT}",
        f"perhaps {DRAFT}\n</think>\n\n{TEXT}",
        f"<|channel|>analysis<|message|>{DRAFT}<|end|><|start|>assistant"
        f"<|channel|>final<|message|>{TEXT}<|return|>",
    ],
)
def test_the_value_is_found(said):
    assert find_json(said) == VALUE


@pytest.mark.parametrize("value", ["</think>", "a ```json fence```", "<think>", "{", "x } y"])
def test_signs_inside_a_string_are_text(value):
    assert find_json(json.dumps({"a": value})) == {"a": value}
    assert find_json("So: " + json.dumps({"a": value})) == {"a": value}


@pytest.mark.parametrize(
    ("said", "problem"),
    [
        ("<think>and so on", "it ends inside its thoughts"),
        ("yes", "JSON is malformed"),
        ('{"a": 1', "Input data was truncated"),
        ('{"a": 1, "a": 2}', "it has the key `a` twice in one object"),
        ('{"b": [{"a": 1, "a": 2}]}', "it has the key `a` twice in one object"),
        (
            '{"a":"x\\\\":y", "a"\\n : 2}'.replace("\\\\", "\\").replace("\\n", "\n"),
            "the key `a` twice",
        ),
        ('{"a": "\\u0022:", "a" : 2}', "the key `a` twice"),
    ],
)
def test_what_is_wrong_is_said(said, problem):
    with pytest.raises(NotJSON, match=problem):
        find_json(said)


def test_a_text_that_is_nested_too_deeply_is_refused():
    # How deep that is, and in whose words it is said, depends on the version of Python.
    with pytest.raises(NotJSON):
        find_json("[" * 5_000)


def test_a_text_keeps_everything_but_thoughts():
    assert spoken("<think>secret plan</think>\n\nParis") == "Paris"
    assert spoken("Paris\n```\ncode\n```") == "Paris\n```\ncode\n```"
    assert spoken('"</think>"') == '"</think>"'


@pytest.mark.parametrize(
    "unit", ["{", '{"a":"', "```\n", "<think></think>", "[", "{}x", "</think>"]
)
def test_a_long_text_is_read_in_bounded_work(unit):
    """Each would take minutes if every place were tried."""
    text = unit * (300_000 // len(unit))
    with contextlib.suppress(NotJSON):
        find_json("x " + text)


TASK = {"id": "a", "worker": "look", "input": {}}
DECISION = json.dumps({"tasks": [TASK]})
NOT = json.dumps({"tasks": [{"id": "draft"}]})


def closed(text, size):
    """What a stream in pieces of a size has closed."""
    stream, found = ClosedTasks(), []
    for at in range(0, len(text), size):
        found += stream.feed(text[at : at + size])
    return found


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1_000])
@pytest.mark.parametrize(
    "before",
    [
        "",
        "\ufeff",
        " \n",
        "```json\n",
        "```\n  ",
        f"<think>{NOT}</think>",
        "<think></think>\n",
        f"<think>{NOT}</think> <thinking>{NOT}</thinking>\n```json\n",
    ],
)
def test_a_task_is_started_from_the_object_that_the_answer_begins_with(before, size):
    assert closed(before + DECISION + "\n```", size) == [TASK]


@pytest.mark.parametrize("size", [1, 3, 1_000])
@pytest.mark.parametrize(
    "said",
    [
        f"I could plan {NOT} but no.",
        f"<think>{NOT}",
        f"<think>{NOT}</thin k>{NOT}",
        f"<b>{NOT}</b>",
        f"``` python\n{NOT}",
        f"[{NOT}]",
        f"{json.dumps({'finish': 1})}\n{NOT}",
        f"perhaps {NOT}\n</think>\n{NOT}",
    ],
)
def test_nothing_is_started_from_prose_or_thoughts(said, size):
    assert closed(said, size) == []
