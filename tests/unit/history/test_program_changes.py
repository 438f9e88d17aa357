"""What counts as a change between two programs, and what does not."""

from __future__ import annotations

import pytest

from engine.history.changes import changed_files, changes
from engine.sema.check import check_file
from engine.sema.names.loader import MemoryReader

TEXT = """orch 1
param limit: int = 3
model planner { id = "scripted/s.json" }
/// Looks it up.
worker look(q: string, n: int = 1) -> { name: string } via command {
  run = ["look", q]  effect = read  timeout = 5s
}
worker say(q: string) -> string via llm { model = planner  prompt = file("say.txt") }
orchestrator main(q: string) -> string {
  model = planner
  goal = "Find {{ q }}."
  workers = [look, say]
  policy { max_rounds = 3 }
}
"""


def program(text=TEXT, prompt="Say {{ q }}."):
    files = {"a.orch": text, "say.txt": prompt}
    result = check_file("/a.orch", reader=MemoryReader(files, "/"), env={})
    assert result.program is not None, result.diagnostics
    return result.program


def said(new, old=None):
    return [
        (change.kind, change.name, change.what, [name for name, _, _ in change.settings])
        for change in changes(old or program(), new)
    ]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("orch 1\n", "orch 1\n// A word.\n"),
        ("policy { max_rounds = 3 }", "policy {\n    max_rounds = 3\n  }"),
        ('  workers = [look, say]\n  policy', '  workers = [look, say]\n\n\n  policy'),
    ],
)  # fmt: skip
def test_spelling_is_no_change(old, new):
    assert old in TEXT
    assert said(program(TEXT.replace(old, new))) == []


@pytest.mark.parametrize(
    ("old", "new", "kind", "name", "setting"),
    [
        ("timeout = 5s", "timeout = 9s", "worker", "look", "timeout_ms"),
        ('"Find {{ q }}."', '"Find out {{ q }}."', "orchestrator", "main", "goal"),
        ("max_rounds = 3", "max_rounds = 4", "orchestrator", "main", "policy.max_rounds"),
        ("scripted/s.json", "scripted/t.json", "model", "planner", "id"),
        ("/// Looks it up.", "/// Looks it all up.", "worker", "look", "doc"),
        ("limit: int = 3", "limit: int = 4", "param", "limit", "value"),
    ],
)
def test_a_setting_that_changes_is_named_with_its_declaration(old, new, kind, name, setting):
    assert old in TEXT
    found = said(program(TEXT.replace(old, new)))
    assert [(k, n, what) for k, n, what, _ in found] == [(kind, name, "changed")]
    assert setting in found[0][3]


@pytest.mark.parametrize(
    ("old", "new", "setting"),
    [
        ("effect = read", "effect = write", ("effect", "read", "write")),
        (
            "policy { max_rounds = 3 }",
            "policy { max_rounds = 3  budget { cost = $2.50 } }",
            ("policy.budget.cost_usd", "none", "$2.5"),
        ),
    ],
)
def test_a_setting_is_told_once_and_in_its_unit(old, new, setting):
    (change,) = changes(program(), program(TEXT.replace(old, new)))
    assert change.settings == (setting,)


def test_of_a_long_value_the_part_is_shown_that_changes():
    many = ", ".join(f'"{word * 4}"' for word in "abcdefghijkl")
    old = program(TEXT.replace('["look", q]', f'["look", {many}, q]'))
    new = program(TEXT.replace('["look", q]', f'["look", {many}, "new", q]'))
    (change,) = changes(old, new)
    (_, before, now) = change.settings[0]
    assert ("new" in now, "new" in before) == (True, False)
    assert before.startswith("...")
    assert max(len(before), len(now)) <= 66


def test_declarations_come_and_go():
    extra = 'worker extra(q: string) -> string via command { run = ["x"]  effect = read }'
    more = program(f"{TEXT}{extra}\n")
    assert said(more) == [("worker", "extra", "added", [])]
    assert said(program(), more) == [("worker", "extra", "removed", [])]


def test_a_prompt_in_a_file_is_a_change_of_who_uses_it():
    old, new = program(), program(prompt="Tell {{ q }}.")
    assert said(new) == [("worker", "say", "changed", ["prompt"])]
    assert changed_files(old.files, new.files) == ["say.txt"]


def test_an_input_that_changes_is_told_by_its_place_in_the_schema():
    found = said(program(TEXT.replace("n: int = 1", "n: int = 2")))
    assert found == [("worker", "look", "changed", ["inputs.properties.n.default"])]
