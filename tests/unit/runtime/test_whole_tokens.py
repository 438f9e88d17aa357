"""The definition of `@from(request)`: values in a text as whole tokens, and numbers by value."""

from __future__ import annotations

import pytest

from engine.runtime.known_values import MOST_TEXT, OutputLeaves, RequestValues
from engine.runtime.leaf_values import key_of
from engine.runtime.whole_tokens import MOST_PLACES, as_number, is_whole_token, nfc, numbers_in


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("bob@x.example", "To bob@x.example."),
        ("bob@x.example", "<bob@x.example>, and"),
        ("bob@x.example", '"bob@x.example"?'),
        ("Bob", "Bob's bill"),
        ("Bob", "(Bob)"),
        ("Bob", "@Bob: hi"),
        ("123", "#123!"),
        ("New York", "to New York, now"),
        ("a,b", "x a,b y"),
        ("https://a.example/b?c=1", "see https://a.example/b?c=1."),
        ("/etc/x.txt", "read `/etc/x.txt`"),
        ("2024-05-19", "on 2024-05-19 at 10:30"),
        ("Zoë", "ask Zoë"),
        ("€5", "give €5 now"),
        ("b", "a, b; c"),
    ],
)
def test_whole_tokens(value, text):
    assert is_whole_token(value, text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("bob@x.example", "a.bob@x.example"),
        ("bob@x.example", "bob@x.example.net"),
        ("bob@x.example", "bob@x.example/a"),
        ("bob@x.example", "+bob@x.example" + "+a"),
        ("x.example", "bob@x.example"),
        ("bob", "bob@x.example"),
        ("bob", "Bob"),
        ("bob", "bobby"),
        ("bob", "bob_2"),
        ("a.example", "https://a.example/b"),
        ("5", "?id=5&x=6"),
        ("19", "2024-05-19"),
        ("1", "1,000"),
        ("Zo", "Zoë"),
        ("Zo", "Zoe\u0301"),
        ("o", "zer\u200bo"),
        ("ann", "\u0430nn"),
        ("", "anything"),
        (" ", "a b"),
        (".", "Pay Bob ."),
        ("- -", "a - - b"),
        ("1", "pay 1 000"),
        ("000", "pay 1 000 000"),
        ("10", "10^6"),
    ],
)
def test_parts_of_tokens(value, text):
    assert not is_whole_token(value, text)


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("$98.70", [98.7]),
        ("98.70 and 98", [98.7, 98]),
        ("US$50, 60€ and €70", [50, 60, 70]),
        ("1,250 or 1'250 or 1\u00a0250 or 1_250", [1250] * 4),
        ("12,345.60", [12345.6]),
        ("98,70 and 1.000,50", [98.7, 1000.5]),
        ("5% and 12.5 %", [5, 0.05, 12.5, 0.125]),
        ("-5, +6, \u22127, -$8, $-9 and - 10", [-5, 6, -7, -8, -9, 10]),
        ("0 and .5 and 007", [0, 0.5, 7]),
        ("(50). 60!", [50, 60]),
        ("1 000 and 2 500 000", [1000, 2500000]),
        ("1 000,50 and $1 000.50", [1000.5, 1000.5]),
        ("2024 100 and 5 50", [2024, 100, 5, 50]),
        ("on 12 May 5", [12, 5]),
    ],
)
def test_numbers_by_value(text, numbers):
    assert list(numbers_in(text)) == numbers


@pytest.mark.parametrize(
    "text",
    ["2024-05-19", "19.05.2024", "10:30", "LH123", "v1.2.3", "10-20", "10,20,30", "50EUR", "2k",
     "1,0000", "a1", "x=5&y", "9" * 50, "fifty", "1/2", "0,005", "10^6", "1 000,5000"],
)  # fmt: skip
def test_what_is_no_number(text):
    assert list(numbers_in(text)) == []


def test_a_text_that_is_a_number_as_a_whole():
    assert as_number(" $1,250.50 ") == 1250.5
    assert as_number("5 apples") is None
    assert as_number("9" * 5_000) is None


def test_the_request_is_its_inputs_texts_and_numbers():
    request = RequestValues(["pay\nNew  York 98.70", {"n": [7, True, None]}, "Zoe\u0301"])
    for leaf in (98.7, 7, 7.0, "7", True, None, "New York", "Zo\u00e9", "98.70"):
        assert request.has(leaf, key_of(leaf)), leaf
    for leaf in (False, 98, "new york", "", "York 98.70\0Zo\u00e9", "1", 1):
        assert not request.has(leaf, key_of(leaf)), leaf
    assert RequestValues([""]).has("", "")


def test_a_large_request_is_searched_up_to_a_bound():
    request = RequestValues(["a" * MOST_TEXT + " bob", "x"])
    assert not request.has("bob", "bob")
    assert not is_whole_token("a", "aa " * MOST_PLACES + "a")


def test_leaves_of_outputs_are_found_through_lists_and_as_numbers():
    class Loop:
        def __init__(self):
            self.done = {}

    class Task:
        def __init__(self, output):
            self.output = output

    loop = Loop()
    leaves = OutputLeaves(("rows", "id"))
    leaves.read([loop], "w")
    first = [Task({"rows": [{"id": "26", "x": "no"}, {"id": "$98.70"}]})]
    loop.done = {"w": first}
    leaves.read([loop], "w")
    first.append(Task({"rows": [{"id": 12}], "id": "no"}))
    leaves.read([loop], "w")
    for leaf in ("26", 26, 98.7, "$98.70", 12, "12"):
        assert leaves.has(key_of(leaf)), leaf
    for leaf in ("no", "98.7", 98, True):
        assert not leaves.has(key_of(leaf)), leaf
    assert leaves.read([loop], "w")
    loop.done = {"w": first[:1]}
    assert not leaves.read([loop], "w")
    assert nfc("e\u0301") == "\u00e9"
