"""Every schema that a program of this repository sends keeps to the dialect that it is sent in."""

from __future__ import annotations

from collections import Counter

from sent_schemas import programs, sent

from engine.dialects.problems import problems
from engine.dialects.table import DIALECTS


def test_nothing_is_sent_that_its_provider_would_refuse():
    found = {
        f"{one.whose}, {one.dialect}": wrong
        for one in sent()
        if (wrong := problems(one.schema, DIALECTS[one.dialect]))
    }
    assert found == {}


def test_there_is_something_to_check():
    count = Counter(one.dialect for one in sent())
    assert len(programs()) > 40
    native = {name for name, dialect in DIALECTS.items() if dialect.native}
    assert set(count) == native
    # Most decisions can be said in every dialect.
    assert min(count.values()) > max(count.values()) / 2
