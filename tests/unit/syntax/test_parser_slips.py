"""Habits from other languages and misspelt keywords: one finding each, which says the remedy."""

from __future__ import annotations

import pytest

from engine.linter import lint

PROGRAM = '''orch 1

model m { id = "openai/gpt-5-mini" }
secret KEY

worker search(query: string, limit: int = 8) -> string[] fails limited via http {
  url     = "https://search.example.com/v1"
  headers = { "X-KEY": secret.KEY }
  query   = { q: query, n: limit }
  result  = response.items
  on_status { 429 = limited }
  timeout = 10s
}

worker answer(question: string) -> string via llm {
  model  = m
  prompt = """
Answer: {{ question }}
"""
}

verifier long(result: string) via rules {
  assert result | length > 3
    else "too short"
}

orchestrator ask(topic: string) -> string {
  model   = m
  goal    = "{{ topic }}"
  workers = [search, answer]
  policy {
    max_rounds = 3
    budget  { cost = $1.00  tokens = 600k }
    context { preview = 2KiB  compact_at = 60% }
  }
  verify { before_finish { with = long } }
}

test "one" for ask {
  input = { topic: "x" }
  mock orchestrator { script = [{ assessment: "done", finish: "long" }] }
  assert run.status == "finished"
}
'''

SLIPS = [
    ("limited via", "limited vai", "unexpected `vai` (did you mean `via`?)"),
    ("fails limited", "fail limited", "did you mean `fails`?"),
    ("assert result | length > 3", "assert result | length > 3 && true", "no operator `&&`"),
    ("assert result | length > 3", "assert result | length = 3", "compared with `==`"),
    ("assert result | length > 3", 'assert result | default(value="") = "x"', "with `==`"),
    ('run.status == "finished"', 'run.status = "finished"', "values are compared with `==`"),
    ("secret KEY", "secret KEY\n\nparam depth = 3", "write its type: `depth: int = 3`"),
    ("secret KEY", 'secret KEY\n\nparam d = "quick"', 'write its type: `d: string = "quick"`'),
    ("question: string", 'question: string @pattern("^\\d+\\.\\d+$")', "and 2 more"),
    ("-> string via llm", "-> [string] via llm", "this type is written `string[]` here"),
    ("-> string[] fails", "-> List<string> fails", "this type is written `string[]` here"),
    ("limit: int = 8", "limit: Optional[int]", "this type is written `int?` here"),
    ("question: string", "question: string(1, 9)", "write `string @length(1, 9)`"),
    (
        '"{{ topic }}"',
        '"{{ topic | replace("a", "b") }}, please"',
        "write quotes inside a string as `'`: `\"{{ topic | replace('a', 'b...`",
    ),
    ('else "too', 'esle "too', "did you mean `else`?"),
    ("assert result", "asesrt result", "did you mean `assert`?"),
    ("assert run", "asert run", "did you mean `assert`?"),
    ('"one" for', '"one" fr', "did you mean `for`?"),
    (") -> string[]", ") => string[]", "write `->`"),
    (") -> string[]", ") - > string[]", "write `->`"),
    (") -> string[]", "): string[]", "write `->`"),
    ("timeout = 10s", "timeout == 10s", "settings use `=`"),
    ("timeout = 10s", "timeout := 10s", "settings use `=`"),
    ("timeout = 10s", "timeout = 10s /* slow\n there */", "comments begin with `//`"),
    ("timeout = 10s\n", "timeout\n", "`timeout` has no value"),
    ("timeout = 10s\n", "timeout =\n", "expected a value after `timeout =`"),
    ("timeout = 10s", "timeout = 10seks", "`10seks` is not a number"),
    ("n: limit", "n: limit && query", "write `and`"),
    ("n: limit", "n: limit => 3", "write `>=`"),
    ("response.items", "response.", "expected a name after `.`"),
    ("length > 3", "length >", "expected a value after `>`"),
    ("policy {", "policy = {", "`policy` is a block"),
    ("verify {", "verify = {", "`verify` is a block"),
    ("on_status {", "on_status = {", "`on_status` is a block"),
    ("headers = {", "headers {", "did you mean `headers = {`?"),
    ("input = {", "input {", "did you mean `input = {`?"),
    ("600k", "600,000", "write `600_000`"),
    ("$1.00", "$1,00", "write `$1.00`"),
    ("$1.00", "1.00$", "write `$1.00`"),
    ("$1.00", "€1.00", "write `$1.00`"),
    ("$1.00", "$-1.00", "not negative"),
    ("2KiB", "2 KiB", "write `2KiB`"),
    ("60%", "60 %", "write `60%`"),
    ('"https://search.example.com/v1"', "https://search.example.com/v1", "need double quotes"),
    ("secret KEY", 'secret KEY = "x"', "comes from the environment"),
    (") via rules", ") -> bool via rules", "a verifier has no output type"),
    ("-> string {", "-> string via llm {", "an orchestrator has no `via`"),
    ("query: string", "query", "`query` has no type"),
    ("(topic: string)", "(topic)", "`topic` has no type"),
    ("orch 1", "orch", "expected a number after `orch`"),
]


def _found(text: str) -> list[str]:
    return [
        item.message if item.help is None else f"{item.message} ({item.help})"
        for item in lint("main.orch", source_text=text)
    ]


def test_the_program_without_a_slip_is_clean() -> None:
    assert _found(PROGRAM) == []


@pytest.mark.parametrize(("right", "wrong", "said"), SLIPS, ids=[wrong for _, wrong, _ in SLIPS])
def test_a_slip_is_one_finding_that_says_the_remedy(right: str, wrong: str, said: str) -> None:
    assert PROGRAM.count(right) >= 1
    found = _found(PROGRAM.replace(right, wrong, 1))
    assert len(found) == 1, found
    assert said in found[0]


def test_both_quotes_of_a_python_text_block_are_one_finding() -> None:
    found = _found(PROGRAM.replace('"""', "'''"))
    assert len(found) == 1, found
    assert "text blocks need" in found[0]


def test_a_text_block_that_nothing_closes_is_said_to_be_open() -> None:
    assert _found('orch 1\ntemplate t = """ abc\n') == [
        'this `"""` text block is never closed (a text block begins and ends with `"""`)'
    ]


def test_a_declaration_without_a_name_is_not_unknown_elsewhere() -> None:
    found = _found(PROGRAM.replace("worker answer(", "worker ("))
    assert found == ["expected a name after `worker`, found `(`"]


def test_the_doc_of_a_declaration_that_cannot_be_read_is_not_dangling() -> None:
    broken = PROGRAM.replace("worker search(", "/// Searches.\nworker search[")
    assert [m for m in _found(broken) if "documents nothing" in m] == []
    dangling = PROGRAM + "\n/// Nothing.\n"
    assert len([m for m in _found(dangling) if "documents nothing" in m]) == 1
