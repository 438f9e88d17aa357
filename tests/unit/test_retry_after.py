"""How long an answer asks to wait: every form of the fields, and what is none."""

import pytest

from engine import clock
from engine.retry_after import retry_after_ms

AT_28_00 = "Wed, 21 Oct 2026 07:28:00 GMT"
AT_28_30 = "Wed, 21 Oct 2026 07:28:30 GMT"
DAY_MS = 86_400_000


@pytest.mark.parametrize(
    ("headers", "expected_ms"),
    [
        ({"Retry-After": "0"}, 0),
        ({"Retry-After": " 7 "}, 7_000),
        ({"retry-after": "0.25"}, 250),
        ({"retry-after-ms": "120", "retry-after": "1"}, 120),
        ({"retry-after-ms": "soon", "retry-after": "1"}, 1_000),
        ({"retry-after": "-3"}, None),
        ({"retry-after-ms": "-3", "retry-after": "1"}, 1_000),
        ({"retry-after": "1e9"}, DAY_MS),
        ({"date": AT_28_00, "retry-after": AT_28_30}, 30_000),
        ({"date": AT_28_30, "retry-after": AT_28_00}, 0),
        ({"date": AT_28_00, "retry-after": "Sun, 21 Oct 2096 07:28:30 GMT"}, DAY_MS),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after": "Wed, 99 Oct 2026 07:28:30 GMT"}, None),
        ({"date": AT_28_00}, None),
        ({}, None),
    ],
)
def test_how_long_to_wait(headers, expected_ms):
    assert retry_after_ms(headers) == expected_ms


def test_a_date_without_a_date_of_the_answer_is_measured_here(monkeypatch):
    monkeypatch.setattr(clock, "wall_s", lambda: 1_792_567_700.0)  # 07:28:20
    assert retry_after_ms({"retry-after": AT_28_30}) == 10_000
    assert retry_after_ms({"date": "yesterday", "retry-after": AT_28_30}) == 10_000
