"""Records of kinds and their rows: what is wrong in them is found when they are loaded."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from engine.sema.kinds import BUILT_IN, bodies
from engine.sema.kinds.kind import WorkerKind
from engine.sema.kinds.record_check import record_problem
from engine.sema.settings.defaults import wrong_default
from engine.sema.settings.table import Row
from engine.sema.settings.values import ShareOrNumber
from orch.kinds import (
    CHECKED,
    Bool,
    CallPath,
    Choice,
    Computed,
    Constant,
    Duration,
    Int,
    Ints,
    Money,
    Names,
    NumberValue,
    Share,
    Size,
    Str,
    Strings,
    Text,
    worker_settings,
)


def kind(*rows: Any, **more: Any) -> WorkerKind:
    fields = {"worker": (*rows, *worker_settings()), "port": "a:b", **more}
    return WorkerKind(name="k", summary="done", **fields)


def row(value: Any, default: Any = None, **more: Any) -> Row:
    return Row("it", value, "What it is.", default=default, **more)


def test_the_records_of_this_package_are_sound() -> None:
    # Verdicts of kinds without a port do not come from calls, and have fewer settings.
    found = {name: record_problem(it) for name, it in BUILT_IN.items() if it.port is not None}
    assert found == dict.fromkeys(found)
    wrong = {
        (name, it.name): wrong_default(it.value, it.default)
        for name, body in bodies().items()
        for it in body.rows
        if it.default is not None
    }
    assert wrong == dict.fromkeys(wrong)


@pytest.mark.parametrize(
    ("value", "good", "bad", "wanted"),
    [
        (Int(), 3, "many", "an int, at least 1"),
        (Int(), 1, True, "an int, at least 1"),
        (Int(), 1, 1.0, "an int, at least 1"),
        (Int(minimum=0, maximum=9), 0, 10, "an int, at least 0, at most 9"),
        (NumberValue(0, 2), 0.5, 3, "a number, at least 0, at most 2"),
        (NumberValue(), -1, "1", "a number"),
        (Bool(), False, "false", "a bool"),
        (Duration(), 500, "500ms", "a whole number of milliseconds, at least 1"),
        (Money(), 1, 0.5, "a whole number of micro-dollars, at least 1"),
        (Size(), 1024, "1KiB", "a whole number of bytes, at least 1"),
        (Share(), 0.6, 60, "a number above 0 and at most 1"),
        (ShareOrNumber(), 0.2, 1.5, "an int, at least 0, or a share below 1"),
        (ShareOrNumber(), 3, "20%", "an int, at least 0, or a share below 1"),
        (Str(), "x", 3, "a string that is not empty"),
        (Str(), "x", " ", "a string that is not empty"),
        (Strings(), ("a",), "a", "a tuple of strings"),
        (Strings(), (), (1,), "a tuple of strings"),
        (Ints(), (0, 3), [0], "a tuple of ints, none below 0"),
        (Choice(("a", "b")), "a", "c", "one of a, b"),
        (CallPath(), "m:f", "m.f", "`package.module:function`"),
        (Constant(), {"a": [1]}, {1: 2}, "a value of JSON"),
        (Names(("model",)), None, "planner", "None: only a file can say it"),
        (Text(), None, "Hello", "None: only a file can say it"),
        (Computed(), None, 3, "None: only a file can say it"),
    ],
    ids=repr,
)
def test_a_default_is_a_value_of_its_setting(value: Any, good: Any, bad: Any, wanted: str) -> None:
    assert record_problem(kind(row(value, good))) is None
    found = record_problem(kind(row(value, bad)))
    assert found == f"the default of its setting `it` is {bad!r}, but has to be {wanted}"
    checked = (row(value, bad), *CHECKED)
    assert record_problem(kind(worker=None, verifier=checked)) == found


def test_the_default_of_a_block_has_its_settings() -> None:
    (retry,) = (it for it in worker_settings() if it.name == "retry")

    def with_default(default: Any) -> str | None:
        changed = msgspec.structs.replace(retry, default=default)
        rows = [changed if it.name == "retry" else it for it in worker_settings()]
        return record_problem(kind(worker=tuple(rows)))

    assert with_default({"max": 2}) is None
    assert "a mapping of settings of `retry`" in str(with_default(3))
    assert "which has no `most`" in str(with_default({"most": 2}))
    assert "a mapping whose `max` is an int" in str(with_default({"max": "two"}))


@pytest.mark.parametrize(
    ("broken", "words"),
    [
        (kind(row(int)), "its setting `it` has no sort of value, but <class 'int'>"),
        (kind(row(Choice("abc"))), "the Choice of its setting `it` is not valid: Expected `array`"),
        (kind(row(Int("many"))), "the Int of its setting `it` is not valid: Expected `int`"),
        (kind(row(Computed("nowhere"))), "the Computed of its setting `it` is not valid"),
        (kind(row(Computed(block="no"))), "a block of the kind `no`, which does not exist"),
        (kind(row(Int(), missing="ORC000")), "names the rule `ORC000`, which does not exist"),
        (kind(Row(3, Int(), "It.")), "the `name` of its setting `3` is not valid: Expected `str`"),
        (kind(Row("it", Int(), None)), "the `doc` of its setting `it` is not valid"),
        (kind(worker=3), "the settings of its workers are a int, not a tuple"),
        (kind(worker=list(worker_settings())), "the settings of its workers are a list"),
        (kind(modes="odd"), "its `modes` is not valid: Expected `array`"),
        (kind(modes=frozenset({3})), "its `modes` is not valid: Expected `str`"),
        (kind(facts=3), "its `facts` is not a function"),
        (kind(port="nowhere"), "its `port` is `nowhere`, not `package.module:name`"),
        (kind(port=3), "its `port` is not valid: Expected `str | null`"),
        (kind(calls="query"), "its `calls` names `query`, which is not one of its settings"),
        (kind(needs="sql"), "its `needs` is not valid: Expected `array | null`"),
    ],
    ids=lambda it: it if isinstance(it, str) else "",
)
def test_what_cannot_be_used_is_named(broken: WorkerKind, words: str) -> None:
    assert words in str(record_problem(broken))
