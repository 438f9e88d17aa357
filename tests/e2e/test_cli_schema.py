"""`orch schema` as a process: what it prints is valid JSON Schema, and holds what a run holds."""

from __future__ import annotations

import json

import jsonschema
import orch_fork
import pytest

PROGRAM = """\
orch 1
model planner { id = "scripted/none.json" }

/// One thing that was found.
schema Finding {
  claim: string @length(3, 40)
  line: int @min(1)
  /// Where it stands.
  place: { path: string, near: Finding? }?
}
worker find(topic: string, most: int = 3) -> Finding[] fails nothing via command {
  run = ["find"]
  effect = read
}
verifier known(result: Finding[]) via rules { assert result | length > 0 else "empty" }
orchestrator review(topic: string) -> Finding[] {
  model = planner
  goal = "Find {{ topic }}."
  workers = [find]
  policy { max_rounds = 2 }
  verify { before_finish { with = known  on_fail = abort } }
}
"""
FINDING = {"claim": "it is so", "line": 1, "place": {"path": "a", "near": None}}


@pytest.fixture
def orch(tmp_path):
    (tmp_path / "a.orch").write_text(PROGRAM)

    def call(*arguments):
        done = orch_fork.run(["schema", *arguments], cwd=tmp_path)
        assert "Traceback" not in done.stderr
        return done

    return call


def validator(document):
    jsonschema.Draft202012Validator.check_schema(document)
    return jsonschema.Draft202012Validator(document)


def test_both_sides_of_the_entry_are_self_contained_schemas(orch):
    document = json.loads(orch("a.orch").stdout)

    assert list(document) == ["input", "output"]
    assert document["input"]["title"] == "review input"
    assert validator(document["input"]).is_valid({"topic": "x"})
    assert not validator(document["input"]).is_valid({"topic": "x", "more": 1})
    assert validator(document["output"]).is_valid([FINDING])
    assert not validator(document["output"]).is_valid([{**FINDING, "claim": "no"}])


@pytest.mark.parametrize(
    ("arguments", "good", "bad"),
    [
        (["find", "--of", "input"], {"topic": "x"}, {"most": 2}),
        (["find", "--of", "output"], [FINDING], [{"claim": "it is so"}]),
        (["known", "--of", "output"], {"ok": True, "score": 0.5}, {"ok": "yes"}),
        (["Finding"], FINDING, {**FINDING, "line": 0}),
    ],
)
def test_every_callable_and_schema_has_one(orch, arguments, good, bad):
    document = json.loads(orch("a.orch", *arguments).stdout)

    assert document["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert validator(document).is_valid(good)
    assert not validator(document).is_valid(bad)


def test_it_can_go_to_a_file(orch, tmp_path):
    done = orch("a.orch", "find", "--of", "input", "-o", "in.json")

    assert (done.returncode, done.stdout) == (0, "")
    assert json.loads((tmp_path / "in.json").read_text())["required"] == ["topic"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["a.orch", "fnd"], 2, "declares no `fnd` with a schema\n  help: did you mean `find`?\n"),
        (["a.orch", "Finding", "--of", "input"], 2, "has no input of its own"),
        (["none.orch"], 3, "error: cannot read none.orch"),
    ],
)
def test_what_is_not_there_is_said(orch, arguments, code, said):
    done = orch(*arguments)

    assert (done.returncode, done.stdout) == (code, "")
    assert said in done.stderr


def test_a_file_that_does_not_check_has_no_schema(orch, tmp_path):
    (tmp_path / "a.orch").write_text(PROGRAM.replace("model = planner", "model = plannr"))

    done = orch("a.orch")

    assert (done.returncode, done.stdout) == (3, "")
    assert "did you mean `planner`?" in done.stderr
