"""Results that no worker should give: each is a value or a failure in words, and stays readable."""

from __future__ import annotations

import json

import pytest

SIZE = 50_000_000

NUL = {"a\0b": "c\0d"}
TOO_LARGE = "the output is larger than 10 MiB"
NO_JSON = "JSON"

#: What becomes of each by kind of worker: a value, or a part of the message of `invalid_output`.
#: `function` and `isolated` return a value of Python; `program` and `page` send bytes.
EXPECTED = {
    "words": ("all went well", "all went well", NO_JSON, NO_JSON),
    "half": (NO_JSON, NO_JSON, NO_JSON, NO_JSON),
    "huge": ("10 MiB", "10 MiB", TOO_LARGE, "10 MiB"),
    "nul": (NUL, NUL, NUL, NUL),
    "bare nul": ("a\0b", "a\0b", NO_JSON, NO_JSON),
    "surrogate": ("half a surrogate", "half a surrogate", "surrogate", "surrogate"),
    "bytes": (NO_JSON, NO_JSON, NO_JSON, NO_JSON),
    "nan": ("nan is not a JSON number", "nan is not a JSON number", NO_JSON, NO_JSON),
    "deep": ("nested deeper", "nested deeper", NO_JSON, NO_JSON),
    "number": ("more than 4,300 digits", "more than 4,300 digits", "out of range", NO_JSON),
    "nothing": (None, None, NO_JSON, None),
}
KINDS = ("function", "isolated", "program", "page")


@pytest.mark.parametrize("what", EXPECTED)
def test_a_poisonous_result_harms_nothing(new_world, what):
    world = new_world("poison")
    tasks = [{"id": kind, "worker": kind, "input": {"what": what}} for kind in (*KINDS, "answer")]
    script = [{"tasks": tasks}, {"finish": len(tasks)}]
    (world.folder / "planner.json").write_text(json.dumps(script))

    code, stdout, stderr = world.orch("run")
    assert (code, stdout) == (0, "5\n"), stderr

    code, stdout, _ = world.orch("show", "--format", "json")
    assert code == 0
    shown = {task["id"]: task for task in json.loads(stdout)["history"][0]["tasks"]}
    for kind, expected in zip(KINDS, EXPECTED[what], strict=True):
        task = shown[kind]
        if task["status"] == "done":
            assert task["output"] == expected, kind
        else:
            assert task["failure"]["mode"] == "invalid_output", kind
            assert expected in task["failure"]["message"], kind
            assert len(task["failure"]["message"]) < 1000
    # For a model a text is what it said, to be read as JSON.
    assert shown["answer"]["status"] == ("done" if what in ("nul", "nothing") else "failed")
    for command in (["show"], ["show", "--task", "program"], ["resume", "last"]):
        code, stdout, stderr = world.orch(*command)
        assert code == 0, stderr
        assert "\0" not in stdout
