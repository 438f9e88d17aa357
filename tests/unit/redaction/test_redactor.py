"""What is recognised as a secret, and what is left alone."""

from __future__ import annotations

import base64
import html
import json
from typing import Any
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.redaction import Redactor

TOKEN = "a/b+c&d'e\"f<π>\\9 zebra"
SHOWN = "[secret TOKEN]"


def cleaned(text: str, value: str = TOKEN) -> str:
    return Redactor({"TOKEN": value}).text(text)


@pytest.mark.parametrize(
    "form",
    [
        TOKEN,
        quote(TOKEN, safe=""),
        quote(TOKEN),
        quote(TOKEN, safe="/+&"),
        quote_plus(TOKEN),
        quote(quote(TOKEN, safe=""), safe=""),
        json.dumps(TOKEN)[1:-1],
        json.dumps(TOKEN, ensure_ascii=False)[1:-1],
        json.dumps(json.dumps(TOKEN))[3:-3],
        json.dumps(TOKEN)[1:-1].replace("/", "\\/").replace("<", "\\u003c"),
        repr(TOKEN)[1:-1],
        repr(TOKEN.encode())[2:-1],
        html.escape(TOKEN),
        html.escape(TOKEN, quote=False),
        html.escape(TOKEN).replace("&#x27;", "&#39;").replace("/", "&#x2F;"),
        json.dumps(html.escape(TOKEN))[1:-1],
        TOKEN.replace("'", "'\\''"),
        TOKEN.encode().hex(),
        TOKEN.encode().hex().upper(),
    ],
)
def test_a_form_of_it_is_replaced(form: str) -> None:
    assert cleaned(f"<{form}>") == f"<{SHOWN}>"


@pytest.mark.parametrize("before", ["", "u", "us", "usr", "user:"])
@pytest.mark.parametrize("encode", [base64.b64encode, base64.urlsafe_b64encode])
def test_base64_holds_it_wherever_it_begins(before: str, encode: Any) -> None:
    whole = encode(f"{before}{TOKEN}:x".encode()).decode()
    found = cleaned(whole)
    assert SHOWN in found
    assert len(found.replace(SHOWN, "")) <= len(encode(f"{before}xx:x".encode()))


def test_lines_of_a_private_key_are_found_one_by_one() -> None:
    pem = "-----BEGIN KEY-----\nQUFBQUFBQUFB\nQkJCQkJCQkJC\n-----END KEY-----\n"
    assert cleaned("it says QkJCQkJCQkJC", pem) == f"it says {SHOWN}"
    assert cleaned(pem.replace("\n", "\r\n"), pem).strip() == SHOWN
    assert cleaned("-----BEGIN KEY-----", pem) == "-----BEGIN KEY-----"
    assert cleaned("the end of s3cret", "s3cret\n") == f"the end of {SHOWN}"


@pytest.mark.parametrize(
    ("value", "text"),
    [("abc", "abc"), ("", "anything"), ("hunter2", "hunter 2"), ("hunter2", "2retnuh")],
)
def test_short_cut_and_reversed_values_are_left_alone(value: str, text: str) -> None:
    assert cleaned(text, value) == text


def test_a_secret_that_contains_another_goes_as_a_whole() -> None:
    both = Redactor({"SHORT": "abcd", "LONG": "abcd-efgh"})
    assert both.text("abcd-efgh abcd") == "[secret LONG] [secret SHORT]"


# ---------------------------------------------------------------- numbers


@pytest.mark.parametrize(
    ("secret", "value"),
    [
        ("83712345", 83712345),
        ("83712345", 83712345.0),
        ("8.3712345e7", 83712345),
        ("0083712345", 83712345),
        ("1234", 1234),
        ("3.14159", 3.14159),
        ("12345678901234567890", 12345678901234567890),
        ("12345678901234567890", 12345678901234567890.0),
        ("83712345", 837123459),
    ],
)
def test_a_number_that_is_the_secret_is_replaced(secret: str, value: Any) -> None:
    one = Redactor({"TOKEN": secret})
    assert one.value({"a": [value]}) == {"a": [SHOWN]}


@pytest.mark.parametrize(
    ("secret", "value"),
    [("1234", 12345), ("1234", 1235), ("0000", 0), ("true", True), ("1e999", 5), ("1.0", 1)],
)
def test_another_number_is_left_alone(secret: str, value: Any) -> None:
    assert Redactor({"TOKEN": secret}).value([value]) == [value]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("83712345", SHOWN),
        ("8.3712345e7", SHOWN),
        ("8.3712345E+7", SHOWN),
        ("83,712,345", SHOWN),
        ("83_712_345", SHOWN),
        ("8,3,7,1", "8,3,7,1"),
        ("v8.3712345.1", "v8.3712345.1"),
        ("9" * 5000, "9" * 5000),
    ],
)
def test_notations_in_texts_and_keys(text: str, expected: str) -> None:
    one = Redactor({"TOKEN": "83712345"})
    assert one.text(text) == expected
    assert one.value({text: None}) == {expected: None}


# ---------------------------------------------------------------- words of models


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        ('{"pin": 83712345}', '{"pin":"[secret TOKEN]"}'),
        ('```json\n{"pin": 83712345.0}\n``` 83712345', '```json\n{"pin":"%s"}\n``` %s'),
        ('{"pin": "\\u0038\\u0033712345"}', '{"pin":"%s"}'),
        ("it is 83712345, not {that}", "it is %s, not {that}"),
        ('{"n": 1}', '{"n": 1}'),
    ],
)
def test_what_was_json_still_is(said: str, expected: str) -> None:
    assert Redactor({"TOKEN": "83712345"}).said(said) == expected.replace("%s", SHOWN)


def test_words_without_a_secret_stay_as_they_were_said() -> None:
    said = '{"a" : 1,\n "b":"\\u00e9"}'
    assert Redactor({"TOKEN": "83712345"}).said(said) == said


# ---------------------------------------------------------------- looking for one


def test_the_name_of_a_secret_is_told() -> None:
    both = Redactor({"PIN": "1234", "TOKEN": "hunter2hunter2"})
    assert both.found({"a": ["x hunter2hunter2"]}) == "TOKEN"
    assert both.found({"a": (1234, None)}) == "PIN"
    assert both.found({"a": 1234}, least=8) is None
    assert both.found({"a": ("b", 1.5, None)}) is None
    assert both.names == {"PIN", "TOKEN"}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@given(JSON)
def test_no_value_is_too_strange(value: Any) -> None:
    odd = Redactor({"A": "83712345", "B": "\\'\"/&\udce9x", "C": "\ud800abcd"})
    assert Redactor({}).value(value) is value
    assert odd.value(value) == json.loads(json.dumps(odd.value(value)))
    odd.said(json.dumps(value))


@pytest.mark.parametrize("text", ["\\" * 200_000, "%25" * 70_000, "'/" * 100_000, "&#x0" * 50_000])
def test_a_long_row_of_escapes_ends(text: str) -> None:
    assert cleaned(text + "zebra", "'/&'zebra") == text + "zebra"
